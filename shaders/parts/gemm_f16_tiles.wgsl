{# C = A·B with operands rounded to f16, which halves what is read of workgroup memory, and sums in f32: as in f32, where the
   interface is. Products of two halves are exact in f32. -#}
{% set operand = "f16" %}
{% include "parts/gemm_tiles.wgsl" %}
