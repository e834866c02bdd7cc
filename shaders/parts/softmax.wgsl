{# Passes over the classes of one sample, and what softmax needs of it. Each round of a loop takes `step` classes: some drivers end an
   invocation's loops after 65,535 rounds.

   The including kernel has `classes` in its Params and `logits`, samples × classes.

     {% call each_class(step) %} … {% endcall %}          does what is between for each class `k`
     {% call each_class(step, "sum") %} … {% endcall %}   the same, which adds to `part`; the parts of rounds are added to `sum`
     {{ softmax(step) }}         declares the `largest` logit of the row that begins at `row`, and `sum` = Σ exp(l − largest)
     {{ softmax(step, true) }}   also `best`, the first class of the largest logit
-#}
{% macro each_class(step, total="") %}
    for (var first = 0u; first < p.classes; first += {{ step }}u) {
{% if total %}
        var part = 0.0;
{% endif %}
{% for j in range(step) %}
        {% if step > 1 %}if first + {{ j }}u < p.classes {% endif %}{
            let k = first + {{ j }}u;
            {{ caller() }}
        }
{% endfor %}
{% if total %}
        {{ total }} += part;
{% endif %}
    }
{% endmacro %}
{% macro softmax(step, argmax=false) %}
    var largest = logits[row];
{% if argmax %}
    var best = 0u;
{% endif %}
{% call each_class(step) %}
{% if argmax %}
            if logits[row + k] > largest {
                largest = logits[row + k];
                best = k;
            }
{% else %}
            largest = max(largest, logits[row + k]);
{% endif %}
{% endcall %}
    var sum = 0.0;
{% call each_class(step, "sum") %}part += exp(logits[row + k] - largest);{% endcall %}
{% endmacro %}
