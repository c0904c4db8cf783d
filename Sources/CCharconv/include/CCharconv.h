#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A decimal number: `digits * 10^exponent`, without sign.
typedef struct {
    uint64_t digits;
    int32_t exponent;
    /// Decimal digits in `digits`, 1 to 17; the last one is not 0 unless it is the only one.
    int32_t count;
} ccv_decimal;

/// The shortest decimal that reads back as a finite number, and of those the nearest to it.
ccv_decimal ccv_shortest(double value);

#ifdef __cplusplus
}
#endif
