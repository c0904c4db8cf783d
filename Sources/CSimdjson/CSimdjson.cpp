#include "include/CSimdjson.h"

#include <cmath>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Errors are values here: nobody above could catch an exception, which would end the process.
#define SIMDJSON_EXCEPTIONS 0
#include <simdjson.h>

namespace {

using namespace simdjson;

constexpr int depth_max = 64;

uint64_t mix(uint64_t x) {
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ULL;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ULL;
    return x ^ (x >> 32);
}

uint64_t hash_bytes(const char *bytes, size_t length, uint64_t seed) {
    uint64_t h = mix(seed ^ (0x9e3779b97f4a7c15ULL + length));
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t word;
        std::memcpy(&word, bytes + i, 8);
        h = mix(h ^ word) + 0x9e3779b97f4a7c15ULL;
    }
    uint64_t tail = 0;
    std::memcpy(&tail, bytes + i, length - i);
    return mix(h ^ tail);
}

/// Strings to small integers; open addressing, built once.
///
/// A slot holds the upper half of the hash beside the index, so that a string that is not in the
/// table is hardly ever compared.
class Table {
public:
    Table(const char *const *names, size_t count) {
        size_t capacity = 16;
        while (capacity < count * 4) capacity *= 2;
        slots.assign(capacity, Slot{0, -1});
        for (size_t i = 0; i < count; i++) {
            strings.emplace_back(names[i]);
            uint64_t hash = hash_bytes(strings.back().data(), strings.back().size(), 0);
            size_t at = hash & (capacity - 1);
            while (slots[at].index >= 0) at = (at + 1) & (capacity - 1);
            slots[at] = Slot{static_cast<uint32_t>(hash >> 32), static_cast<int32_t>(i)};
        }
    }

    /// Index of a string whose hash (seed 0) is known, or -1.
    int32_t find(std::string_view s, uint64_t hash) const {
        size_t at = hash & (slots.size() - 1);
        while (slots[at].index >= 0) {
            if (slots[at].tag == static_cast<uint32_t>(hash >> 32) && string(slots[at].index) == s) {
                return slots[at].index;
            }
            at = (at + 1) & (slots.size() - 1);
        }
        return -1;
    }

    int32_t find(std::string_view s) const { return find(s, hash_bytes(s.data(), s.size(), 0)); }

    std::string_view string(int32_t index) const { return strings[static_cast<size_t>(index)]; }

    size_t count() const { return strings.size(); }

private:
    struct Slot {
        uint32_t tag;
        int32_t index;
    };
    std::vector<Slot> slots;
    std::vector<std::string> strings;
};

/// Which string of a table came at each place of an object last time: producers keep the order of
/// their keys, so the guess is nearly always right and the key is neither unescaped nor hashed.
class Guesses {
public:
    Guesses() {
        for (auto &guess : last) guess = -1;
    }

    error_code find(const Table &table, ondemand::field &entry, size_t place, int32_t *index) {
        int32_t guess = place < places ? last[place] : -1;
        if (guess >= 0 && entry.key().unsafe_is_equal(table.string(guess))) {
            *index = guess;
            return SUCCESS;
        }
        std::string_view key;
        if (auto error = entry.unescaped_key().get(key)) return error;
        *index = table.find(key);
        if (place < places) last[place] = *index;
        return SUCCESS;
    }

private:
    static constexpr size_t places = 32;
    int32_t last[places];
};

/// JSON's number grammar, to tell a number that overflows from text that is no number.
bool is_number_text(std::string_view s) {
    while (!s.empty() && (s.back() == ' ' || s.back() == '\n' || s.back() == '\r' || s.back() == '\t')) {
        s.remove_suffix(1);
    }
    size_t i = 0;
    auto digits = [&] {
        size_t start = i;
        while (i < s.size() && s[i] >= '0' && s[i] <= '9') i++;
        return i - start;
    };
    if (i < s.size() && s[i] == '-') i++;
    size_t whole_start = i;
    size_t whole = digits();
    if (whole == 0 || (whole > 1 && s[whole_start] == '0')) return false;
    if (i < s.size() && s[i] == '.') {
        i++;
        if (digits() == 0) return false;
    }
    if (i < s.size() && (s[i] == 'e' || s[i] == 'E')) {
        i++;
        if (i < s.size() && (s[i] == '+' || s[i] == '-')) i++;
        if (digits() == 0) return false;
    }
    return i == s.size();
}

}  // namespace

struct csj_parser {
    csj_parser(const char *const *names, size_t name_count, const char *const *symbols,
               const int32_t *categories, size_t symbol_count)
        : names(names, name_count),
          symbols(symbols, symbol_count),
          symbol_categories(categories, categories + symbol_count) {}

    ondemand::parser parser;
    Table names;
    Table symbols;
    std::vector<int32_t> symbol_categories;
    Guesses top_guesses;
    Guesses data_guesses;
    Guesses category_guesses;

    uint8_t *text = nullptr;
    size_t text_used = 0;
    size_t text_capacity = 0;
    int32_t data_name = -1;
    int32_t categories_name = -1;
    csj_field *data_fields = nullptr;
    csj_amounts *data_categories = nullptr;

    error_code scalar(ondemand::value value, ondemand::json_type type, csj_field *out) {
        switch (type) {
        case ondemand::json_type::number: {
            double number;
            std::string_view token = value.raw_json_token();
            error_code error = value.get_double().get(number);
            if (error == SUCCESS && std::isfinite(number)) {
                out->kind = CSJ_NUMBER;
                out->number = number;
                return SUCCESS;
            }
            // Reading it as a double consumed the token even where that failed.
            if (!is_number_text(token)) return error ? error : NUMBER_ERROR;
            out->kind = CSJ_OVERFLOW;
            return SUCCESS;
        }
        case ondemand::json_type::string: {
            std::string_view s;
            if (auto error = value.get_string().get(s)) return error;
            out->kind = CSJ_STRING;
            out->hash = hash_bytes(s.data(), s.size(), 0);
            out->symbol = symbols.find(s, out->hash);
            if (text_used + s.size() > text_capacity) return CAPACITY;
            out->text_offset = static_cast<uint32_t>(text_used);
            out->text_length = static_cast<uint32_t>(s.size());
            std::memcpy(text + text_used, s.data(), s.size());
            text_used += s.size();
            return SUCCESS;
        }
        case ondemand::json_type::boolean: {
            bool flag;
            if (auto error = value.get_bool().get(flag)) return error;
            out->kind = CSJ_BOOL;
            out->number = flag ? 1 : 0;
            return SUCCESS;
        }
        case ondemand::json_type::null: {
            std::string_view token = value.raw_json_token();
            if (token.substr(0, 4) != "null") return N_ATOM_ERROR;
            bool null = false;
            if (auto error = value.is_null().get(null)) return error;
            if (!null) return N_ATOM_ERROR;
            out->kind = CSJ_NULL;
            return SUCCESS;
        }
        default: return INCORRECT_TYPE;
        }
    }

    /// Reads a value that nobody asked for, so that broken JSON inside it is still noticed.
    error_code skip(ondemand::value value, int depth) {
        if (depth > depth_max) return DEPTH_ERROR;
        ondemand::json_type type;
        if (auto error = value.type().get(type)) return error;
        if (type == ondemand::json_type::object) {
            ondemand::object object;
            if (auto error = value.get_object().get(object)) return error;
            for (auto entry : object) {
                std::string_view key;
                if (auto error = entry.unescaped_key().get(key)) return error;
                ondemand::value inner;
                if (auto error = entry.value().get(inner)) return error;
                if (auto error = skip(inner, depth + 1)) return error;
            }
            return SUCCESS;
        }
        if (type == ondemand::json_type::array) {
            ondemand::array array;
            if (auto error = value.get_array().get(array)) return error;
            for (auto entry : array) {
                ondemand::value inner;
                if (auto error = entry.get(inner)) return error;
                if (auto error = skip(inner, depth + 1)) return error;
            }
            return SUCCESS;
        }
        csj_field unused;
        size_t text_before = text_used;
        error_code error = scalar(value, type, &unused);
        text_used = text_before;
        return error;
    }

    error_code amounts(ondemand::value value, csj_amounts *out) {
        ondemand::object object;
        if (auto error = value.get_object().get(object)) return error;
        size_t place = 0;
        for (auto next : object) {
            ondemand::field entry;
            if (auto error = std::move(next).get(entry)) return error;
            int32_t symbol;
            if (auto error = category_guesses.find(symbols, entry, place++, &symbol)) return error;
            int32_t category = symbol < 0 ? -1 : symbol_categories[static_cast<size_t>(symbol)];
            ondemand::value inner = entry.value();
            ondemand::json_type type;
            if (auto error = inner.type().get(type)) return error;
            if (type != ondemand::json_type::number) {
                if (out->fault == 0) out->fault = 1;
                if (auto error = skip(inner, 2)) return error;
                continue;
            }
            csj_field number;
            if (auto error = scalar(inner, type, &number)) return error;
            if (number.kind == CSJ_OVERFLOW || number.number < 0) {
                out->fault = 2;
            } else if (category < 0) {
                out->undeclared += number.number;
            } else {
                out->amounts[category] += number.number;
                out->mask |= 1u << category;
            }
        }
        return SUCCESS;
    }

    error_code object(ondemand::object object, csj_field *fields, csj_amounts *categories, bool top) {
        Guesses &guesses = top ? top_guesses : data_guesses;
        size_t place = 0;
        for (auto next : object) {
            ondemand::field entry;
            if (auto error = std::move(next).get(entry)) return error;
            int32_t index;
            if (auto error = guesses.find(names, entry, place++, &index)) return error;
            ondemand::value value = entry.value();
            if (index < 0) {
                if (auto error = skip(value, 1)) return error;
                continue;
            }
            csj_field *field = &fields[index];
            ondemand::json_type type;
            if (auto error = value.type().get(type)) return error;
            if (type == ondemand::json_type::object) {
                field->kind = CSJ_OBJECT;
                error_code error;
                if (top && index == data_name) {
                    ondemand::object inner;
                    if ((error = value.get_object().get(inner))) return error;
                    error = this->object(inner, data_fields, data_categories, false);
                } else if (index == categories_name) {
                    error = amounts(value, categories);
                } else {
                    error = skip(value, 1);
                }
                if (error) return error;
            } else if (type == ondemand::json_type::array) {
                field->kind = CSJ_ARRAY;
                if (auto error = skip(value, 1)) return error;
            } else if (auto error = scalar(value, type, field)) {
                return error;
            }
        }
        return SUCCESS;
    }
};

static void reset(csj_field *fields, size_t count, csj_amounts *categories) {
    for (size_t i = 0; i < count; i++) fields[i].kind = CSJ_ABSENT;
    if (categories->mask != 0) std::memset(categories->amounts, 0, sizeof categories->amounts);
    categories->undeclared = 0;
    categories->fault = 0;
    categories->mask = 0;
}

extern "C" csj_parser *csj_create(
    const char *const *names, size_t name_count, const char *const *symbols,
    const int32_t *symbol_categories, size_t symbol_count) {
    return new csj_parser(names, name_count, symbols, symbol_categories, symbol_count);
}

extern "C" void csj_destroy(csj_parser *parser) { delete parser; }

extern "C" uint64_t csj_hash(const uint8_t *bytes, size_t length, uint64_t seed) {
    return hash_bytes(reinterpret_cast<const char *>(bytes), length, seed);
}

extern "C" int csj_parse(
    csj_parser *parser, const uint8_t *bytes, size_t length, size_t capacity, int32_t data_name,
    int32_t categories_name, csj_field *fields, csj_amounts *categories, csj_field *data_fields,
    csj_amounts *data_categories, uint8_t *text, size_t text_capacity) {
    parser->text = text;
    parser->text_used = 0;
    parser->text_capacity = text_capacity;
    parser->data_name = data_name;
    parser->categories_name = categories_name;
    parser->data_fields = data_fields;
    parser->data_categories = data_categories;
    reset(fields, parser->names.count(), categories);
    reset(data_fields, parser->names.count(), data_categories);
    if (capacity < length + SIMDJSON_PADDING) return CSJ_TOO_LARGE;

    ondemand::document document;
    error_code error =
        parser->parser.iterate(reinterpret_cast<const char *>(bytes), length, capacity).get(document);
    if (error == CAPACITY) return CSJ_TOO_LARGE;
    if (error) return CSJ_MALFORMED;
    ondemand::json_type type;
    if (document.type().get(type)) return CSJ_MALFORMED;
    if (type != ondemand::json_type::object) return CSJ_NOT_AN_OBJECT;
    ondemand::object object;
    if (document.get_object().get(object)) return CSJ_MALFORMED;
    error = parser->object(object, fields, categories, true);
    if (error) return CSJ_MALFORMED;
    // Nothing but white space may follow: then the reader stands at the end of the text.
    if (document.current_location().error() != OUT_OF_BOUNDS) return CSJ_MALFORMED;
    return CSJ_OK;
}
