#include "include/CCharconv.h"

#include <charconv>
#include <cmath>

// The standard library's conversion writes text; its digits are taken out of it again.
ccv_decimal ccv_shortest(double value) {
    char text[32];
    const std::to_chars_result end =
        std::to_chars(text, text + sizeof text, std::fabs(value), std::chars_format::scientific);
    ccv_decimal decimal = {0, 0, 0};
    const char *next = text;
    for (; next != end.ptr && *next != 'e'; next++) {
        if (*next == '.') continue;
        decimal.digits = decimal.digits * 10 + static_cast<uint64_t>(*next - '0');
        decimal.count++;
    }
    // "e+05" or "e-123".
    const bool is_negative = next[1] == '-';
    int exponent = 0;
    for (next += 2; next != end.ptr; next++) exponent = exponent * 10 + (*next - '0');
    decimal.exponent = (is_negative ? -exponent : exponent) - (decimal.count - 1);
    return decimal;
}
