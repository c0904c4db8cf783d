#include <lapacke.h>

/// Present where LAPACK is OpenBLAS.
extern void openblas_set_num_threads(int count) __attribute__((weak));

/// Keeps small decompositions on the calling thread; OpenBLAS would wake one per core and spin.
static inline void clapacke_use_one_thread(void) {
    if (openblas_set_num_threads) openblas_set_num_threads(1);
}
