#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// What a field of a record holds.
enum csj_kind {
    CSJ_ABSENT = 0,
    CSJ_NULL = 1,
    CSJ_NUMBER = 2,
    CSJ_STRING = 3,
    CSJ_BOOL = 4,
    CSJ_OBJECT = 5,
    CSJ_ARRAY = 6,
    /// A well-formed number that no double holds, such as 1e999.
    CSJ_OVERFLOW = 7
};

/// How a record was read as a whole.
enum csj_status { CSJ_OK = 0, CSJ_MALFORMED = 1, CSJ_NOT_AN_OBJECT = 2, CSJ_TOO_LARGE = 3 };

/// One declared field of one record.
typedef struct {
    /// A `csj_kind`.
    int32_t kind;
    /// Code of the string in the symbol table, -1 for any other string.
    int32_t symbol;
    /// The number, or 0 / 1 of a boolean.
    double number;
    /// Hash of a string's bytes.
    uint64_t hash;
    /// Where a string's bytes start in the text buffer, and how many there are.
    uint32_t text_offset;
    uint32_t text_length;
} csj_field;

/// Amounts by category: an object whose keys are looked up in the symbol table.
typedef struct {
    /// Sum of the amounts whose key is not a declared category.
    double undeclared;
    /// Worst finding: 0 fine, 1 an amount of a wrong type, 2 an amount out of range.
    int32_t fault;
    /// Bit per declared category that was present.
    uint32_t mask;
    /// Amount per declared category.
    double amounts[32];
} csj_amounts;

/// A parser with its tables; one thread uses it.
typedef struct csj_parser csj_parser;

/// `names`: the declared fields, index = position. `symbols`: strings with codes 0... and
/// `symbol_categories`: category index of each symbol, -1 for none.
csj_parser *csj_create(
    const char *const *names, size_t name_count,
    const char *const *symbols, const int32_t *symbol_categories, size_t symbol_count);

void csj_destroy(csj_parser *parser);

/// Reads one record without building a tree.
///
/// `bytes`: `length` bytes of JSON, `capacity` readable ones (64 more than `length` at least).
/// `fields`, `data_fields`: one per name, OUT: of the top level, and of the object under `data_name`.
/// `categories`, `data_categories`: OUT, of the object under `categories_name`.
/// `text`: OUT, string bytes, at least `length` long.
int csj_parse(
    csj_parser *parser, const uint8_t *bytes, size_t length, size_t capacity,
    int32_t data_name, int32_t categories_name,
    csj_field *fields, csj_amounts *categories,
    csj_field *data_fields, csj_amounts *data_categories,
    uint8_t *text, size_t text_capacity);

/// The hash that `csj_field.hash` holds.
uint64_t csj_hash(const uint8_t *bytes, size_t length, uint64_t seed);

#ifdef __cplusplus
}
#endif
