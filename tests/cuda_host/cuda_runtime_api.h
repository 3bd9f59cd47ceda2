/* cuda_runtime_api.h -- what C programs include of CUDA: see cuda_runtime.h. */
#include "cuda_runtime.h"
