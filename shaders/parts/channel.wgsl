{# Parameters per channel for the four elements of vector i. A kernel imports both macros; `channels(vector)` gives the
   expression for the channel or channels of vector i, `pick(array, vector)` the parameter, with `c` the channels. -#}
{% macro channels(vector) %}{% if vector %}(4u * i / p.size) % p.channels{% else %}((vec4(4u * i) + vec4(0u, 1u, 2u, 3u)) / p.size) % p.channels{% endif %}{% endmacro %}
{% macro pick(array, vector) %}{% if vector %}{{ array }}[c]{% else %}vec4({{ array }}[c.x], {{ array }}[c.y], {{ array }}[c.z], {{ array }}[c.w]){% endif %}{% endmacro %}
