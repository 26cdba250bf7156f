"""The calls that only read, compute or draw; any other may be what a caller relies on."""

from __future__ import annotations

import builtins

from headspec.migrate.known import words

BUILTINS = words(
    "abs all any bool bytes callable complex dict divmod enumerate filter float format frozenset getattr hasattr hash "
    "int isinstance issubclass iter len list map max min next object pow range repr reversed round set slice sorted "
    "str sum tuple type zip"
) | {name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)}

# Modules whose functions give a value and change nothing, but for the names after them.
MODULES = (
    "matplotlib",
    "mpl_toolkits",
    "seaborn",
    "numpy",
    "torch",
    "math",
    "statistics",
    "itertools",
    "functools",
    "collections",
    "operator",
    "typing",
    "warnings",
    "copy",
    "textwrap",
    "re",
    "string",
    "pandas",
    "scipy",
    "jax",
    "os.path",
    "pathlib",
)
ALLOWED = frozenset(("os.makedirs", "os.fspath", "time.strftime", "datetime.datetime.now", "datetime.now"))
REFUSED = words(
    "save savez savez_compressed savetxt load dump dumps seed manual_seed to_csv to_json to_pickle to_parquet read_csv "
    "read_json read_parquet read_pickle set_default_dtype set_default_device set_grad_enabled tofile memmap "
    "imsave rcdefaults connect mpl_connect"
)

# Methods that read a value or draw with it.
METHODS = words(
    "detach cpu numpy cuda to float double half bfloat16 int long bool clone contiguous squeeze unsqueeze view reshape "
    "flatten ravel transpose permute t swapaxes mean max min sum std var median abs sqrt exp log log1p log10 log2 item "
    "tolist size dim numel nelement ndimension argmax argmin argsort any all nonzero clip clamp round cumsum prod norm "
    "isnan isfinite nanmean quantile masked_fill where take diagonal expand repeat keys values items get copy astype "
    "unique nunique isna isnull notna notnull dropna fillna groupby agg aggregate reset_index set_index pivot "
    "pivot_table melt merge join rename drop sort_values sort_index query head tail iterrows itertuples apply map "
    "transform describe loc iloc isin between value_counts to_numpy to_list rolling ewm diff rank idxmax idxmin first "
    "last assign replace split rsplit strip lstrip rstrip lower upper title capitalize startswith endswith format "
    "zfill ljust rjust center count index find encode decode get_cmap exists is_dir parent with_suffix stack unstack "
    "crosstab corr iteritems select_dtypes to_frame to_dict result_type type_as element_size requires_grad_ "
    "get_device is_floating_point matmul dot outer conj real imag filled compressed update_datalim toarray todense "
    "mkdir as_posix resolve joinpath"
)
MUTATORS = words(
    "append extend insert pop popitem clear update add discard remove setdefault sort reverse fill_ zero_ add_ sub_ "
    "mul_ div_ copy_ put resize appendleft"
)
SPECIAL = frozenset(("None", "True", "False", "print", "display", "__name__", "NotImplemented"))
LOGGING = words("debug info warning warn error exception critical log")
AXES_NAMES = words("ax axs axes fig figure")
MPL = ("matplotlib.", "pylab.", "seaborn.", "mpl_toolkits.")
