#include "pickle_globals.h"

#include <string.h>

/* What torch.save() writes for a state_dict (torch/serialization.py, torch/_utils.py), for whole modules of the common
 * classes (torch/nn/modules), and fair-esm for its settings. */
static const struct vnp_py_global globals[] = {
    {"collections", "OrderedDict", VNP_PY_MAKE_DICT, NULL},
    {"argparse", "Namespace", VNP_PY_MAKE_NAMESPACE, NULL},
    {"torch._utils", "_rebuild_tensor_v2", VNP_PY_MAKE_TENSOR, NULL},
    {"torch._utils", "_rebuild_tensor", VNP_PY_MAKE_TENSOR, NULL}, /* before torch 0.4 */
    {"torch._utils", "_rebuild_parameter", VNP_PY_MAKE_PARAMETER, NULL},
    {"torch._utils", "_rebuild_parameter_with_state", VNP_PY_MAKE_PARAMETER, NULL},
    {"torch", "FloatStorage", VNP_PY_STORAGE_CLASS, "F32"},
    {"torch", "HalfStorage", VNP_PY_STORAGE_CLASS, "F16"},
    {"torch", "BFloat16Storage", VNP_PY_STORAGE_CLASS, "BF16"},
    {"torch", "DoubleStorage", VNP_PY_STORAGE_CLASS, "F64"},
    {"torch", "LongStorage", VNP_PY_STORAGE_CLASS, "I64"},
    {"torch", "IntStorage", VNP_PY_STORAGE_CLASS, "I32"},
    {"torch", "ShortStorage", VNP_PY_STORAGE_CLASS, "I16"},
    {"torch", "CharStorage", VNP_PY_STORAGE_CLASS, "I8"},
    {"torch", "ByteStorage", VNP_PY_STORAGE_CLASS, "U8"},
    {"torch", "BoolStorage", VNP_PY_STORAGE_CLASS, "BOOL"},
    {"torch", "Size", VNP_PY_MAKE_TUPLE, NULL},
    {"torch", "device", VNP_PY_MAKE_OPAQUE, NULL},
    {"_codecs", "encode", VNP_PY_MAKE_OPAQUE, NULL},
    {"__builtin__", "set", VNP_PY_MAKE_OPAQUE, NULL},
    {"builtins", "set", VNP_PY_MAKE_OPAQUE, NULL},
    {"torch.nn.backends.thnn", "_get_thnn_function_backend", VNP_PY_MAKE_OPAQUE, NULL}, /* before torch 1.4 */
    {"torch", "float32", VNP_PY_VALUE, NULL},
    {"torch", "float16", VNP_PY_VALUE, NULL},
    {"torch", "bfloat16", VNP_PY_VALUE, NULL},
    {NULL, "MLPClassifier", VNP_PY_MAKE_MODULE, NULL}, /* VirNucPro's, of __main__ or of whatever module defined it */
    {"torch.nn.modules.linear", "Linear", VNP_PY_MAKE_MODULE, NULL},
    {"torch.nn.modules.linear", "Identity", VNP_PY_MAKE_MODULE, NULL},
    {"torch.nn.modules.batchnorm", "BatchNorm1d", VNP_PY_MAKE_MODULE, NULL},
    {"torch.nn.modules.normalization", "LayerNorm", VNP_PY_MAKE_MODULE, NULL},
    {"torch.nn.modules.dropout", "Dropout", VNP_PY_MAKE_MODULE, NULL},
    {"torch.nn.modules.activation", "ReLU", VNP_PY_MAKE_MODULE, NULL},
    {"torch.nn.modules.activation", "GELU", VNP_PY_MAKE_MODULE, NULL},
    {"torch.nn.modules.activation", "Sigmoid", VNP_PY_MAKE_MODULE, NULL},
    {"torch.nn.modules.activation", "Softmax", VNP_PY_MAKE_MODULE, NULL},
    {"torch.nn.modules.activation", "LogSoftmax", VNP_PY_MAKE_MODULE, NULL},
    {"torch.nn.modules.container", "Sequential", VNP_PY_MAKE_MODULE, NULL},
    {"torch.nn.modules.container", "ModuleList", VNP_PY_MAKE_MODULE, NULL},
};

static int equal(const char *text, const char *s, size_t n)
{
    return strlen(text) == n && memcmp(text, s, n) == 0;
}

const struct vnp_py_global *vnp_py_global_find(const char *module, size_t n_module, const char *name, size_t n_name)
{
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if ((globals[i].module == NULL || equal(globals[i].module, module, n_module)) &&
            equal(globals[i].name, name, n_name))
            return &globals[i];
    return NULL;
}
