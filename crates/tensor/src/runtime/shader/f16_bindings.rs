//! Shaders over values in f16.
//!
//! Shaders are written for f32. Where memory holds a value as f16, its binding becomes an array of f16, or of vectors of them;
//! what is read of it is widened, and what is written to it is rounded:
//!
//! ```text
//! array<vec4<f32>>      array<vec4<f16>>
//! a[i] + 1.0            vec4<f32>(a[i]) + 1.0
//! a[i] = v;             a[i] = vec4<f16>(v);
//! a[i][j] += v;         a[i][j] = f16(f32(a[i][j]) + (v));
//! ```
//!
//! so arithmetic stays f32. WGSL converts nothing by itself: what this overlooked would not be valid.

use std::collections::HashMap;

/// The types of the elements of a binding that becomes f16, before and after.
#[derive(Clone, Copy)]
struct Held {
    single: &'static str,
    half: &'static str,
}

/// What may be in f16.
const TYPES: [Held; 4] = [
    Held { single: "f32", half: "f16" },
    Held { single: "vec2<f32>", half: "vec2<f16>" },
    Held { single: "vec3<f32>", half: "vec3<f16>" },
    Held { single: "vec4<f32>", half: "vec4<f16>" },
];

/// The same shader with these bindings in f16.
///
/// # Errors
/// Names a binding that is no array of f32.
pub(super) fn hold(mut source: String, bindings: &[usize]) -> Result<String, String> {
    let mut held = HashMap::new();
    for binding in bindings {
        let none = || format!("binding {binding} is no array of f32, and memory holds its value in f16");
        let start = source.find(&format!("@binding({binding})")).ok_or_else(none)?;
        let end = start + source[start..].find(';').ok_or_else(none)?;
        let (head, declared) = source[start..end].split_once('>').ok_or_else(none)?;
        let (name, array) = declared.split_once(':').ok_or_else(none)?;
        let element = array.trim().strip_prefix("array<").and_then(|array| array.strip_suffix('>')).ok_or_else(none)?;
        let element = aliased(&source, element.trim());
        let types = TYPES.into_iter().find(|types| types.single == element).ok_or_else(none)?;
        let declaration = format!("{head}> {}: array<{}>", name.trim(), types.half);
        held.insert(name.trim().to_owned(), types);
        source.replace_range(start..end, &declaration);
    }
    if held.is_empty() {
        return Ok(source);
    }
    Ok(rewrite(&source, &held))
}

/// What a type is an alias of, or itself.
fn aliased<'s>(source: &'s str, name: &'s str) -> &'s str {
    let definition = format!("alias {name} = ");
    let Some(start) = source.find(&definition) else { return name };
    let rest = &source[start + definition.len()..];
    &rest[..rest.find(';').unwrap_or(0)]
}

/// A text in which what is read of these arrays is widened, and what is written to them is rounded.
fn rewrite(text: &str, held: &HashMap<String, Held>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            c if is_of_word(c) => rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        let Some(types) = held.get(token).filter(|_| rest.starts_with('[') && !out.ends_with('.')) else {
            out += token;
            continue;
        };
        let (index, after) = rest.split_at(index_length(rest));
        let element = format!("{token}{}", rewrite(index, held));
        match Store::read(after) {
            Some(store) => {
                out += &store.rounded(&element, types, held);
                rest = store.after;
            }
            None => {
                out += &format!("{}({element})", types.single);
                rest = after;
            }
        }
    }
    out
}

/// What follows an element of an array, where it is written to.
struct Store<'t> {
    /// An index or a name, if only one component is written.
    component: &'t str,
    /// That of `+=` and its like.
    operator: &'t str,
    value: &'t str,
    after: &'t str,
}

impl<'t> Store<'t> {
    fn read(text: &'t str) -> Option<Self> {
        let length = match text.chars().next()? {
            '[' => index_length(text),
            '.' => 1 + text[1..].find(|c| !is_of_word(c))?,
            _ => 0,
        };
        let (component, rest) = text.split_at(length);
        let rest = rest.trim_start();
        let (operator, rest) = rest.split_at(rest.find('=')?);
        let (value, after) = rest[1..].split_at(rest[1..].find(';')?);
        let assigns = ["", "+", "-", "*", "/", "%"].contains(&operator) && !value.starts_with('=');
        assigns.then_some(Self { component, operator, value: value.trim(), after })
    }

    fn rounded(&self, element: &str, types: &Held, held: &HashMap<String, Held>) -> String {
        let Held { single, half } = if self.component.is_empty() { *types } else { TYPES[0] };
        let place = format!("{element}{}", rewrite(self.component, held));
        let value = rewrite(self.value, held);
        match self.operator {
            "" => format!("{place} = {half}({value})"),
            operator => format!("{place} = {half}({single}({place}) {operator} ({value}))"),
        }
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Bytes of an index in brackets, with which the text begins.
fn index_length(text: &str) -> usize {
    let mut open = 0;
    for (at, c) in text.char_indices() {
        match c {
            '[' => open += 1,
            ']' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return at + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARATIONS: &str = "alias Packet = vec4<f32>;
@group(0) @binding(1) var<storage, read_write> a: array<f32>;
@group(0) @binding(2) var<storage, read_write> b: array<Packet>;
@group(0) @binding(3) var<storage, read_write> c: array<u32>;
";

    /// The body with bindings 1 and 2 in f16.
    fn held(body: &str) -> String {
        let source = hold(format!("{DECLARATIONS}{body}"), &[1, 2]).unwrap();
        assert!(source.contains("> a: array<f16>;\n") && source.contains("> b: array<vec4<f16>>;\n"), "{source}");
        assert!(source.contains("> c: array<u32>;\n"), "{source}");
        let declarations = source.match_indices('\n').nth(3).unwrap().0 + 1;
        source[declarations..].to_owned()
    }

    #[test]
    fn what_is_read_is_widened() {
        assert_eq!(held("let x = a[i] + 1.0;"), "let x = f32(a[i]) + 1.0;");
        assert_eq!(held("let x = b[c[i]].x * s.a[0];"), "let x = vec4<f32>(b[c[i]]).x * s.a[0];");
        assert_eq!(held("f(a[u32(a[i])], ab[i], a);"), "f(f32(a[u32(f32(a[i]))]), ab[i], a);");
        assert_eq!(held("if a[i] == 0.0 { return b[i]; }"), "if f32(a[i]) == 0.0 { return vec4<f32>(b[i]); }");
    }

    #[test]
    fn what_is_written_is_rounded() {
        assert_eq!(held("a[i] = x;"), "a[i] = f16(x);");
        assert_eq!(held("{ b[i + 1u] = f(b[i], 2.0); }"), "{ b[i + 1u] = vec4<f16>(f(vec4<f32>(b[i]), 2.0)); }");
        assert_eq!(
            held("c[i] = u32(a[i]); a[i] *= x + a[j];"),
            "c[i] = u32(f32(a[i])); a[i] = f16(f32(a[i]) * (x + f32(a[j])));"
        );
        assert_eq!(held("b[i][j] += x;"), "b[i][j] = f16(f32(b[i][j]) + (x));");
        assert_eq!(held("b[i].y = x;"), "b[i].y = f16(x);");
        assert_eq!(
            held("for (; a[i] < 1.0; ) { a[i] /= 2.0; }"),
            "for (; f32(a[i]) < 1.0; ) { a[i] = f16(f32(a[i]) / (2.0)); }"
        );
        assert_eq!(held("a[i] = a[j] + 1.0;"), "a[i] = f16(f32(a[j]) + 1.0);");
    }

    #[test]
    fn comments_and_shaders_without_f16_stay_what_they_are() {
        let comment = "// a[i] = Σ b[i]\n{ // c, then\n    a[i] = x; }";
        assert_eq!(held(comment), "// a[i] = Σ b[i]\n{ // c, then\n    a[i] = f16(x); }");
        let source = format!("{DECLARATIONS}a[i] = x;");
        assert_eq!(hold(source.clone(), &[]).unwrap(), source);
    }

    #[test]
    fn words_cannot_be_in_f16() {
        let error = hold(DECLARATIONS.to_owned(), &[3]).unwrap_err();
        assert!(error.starts_with("binding 3 is no array of f32"), "{error}");
        assert!(hold(DECLARATIONS.to_owned(), &[4]).is_err());
        for text in ["@binding(1)", "@binding(1) var<storage> a;", "@binding(1) var<storage> a: array<f32, 4>;"] {
            assert!(hold(text.to_owned(), &[1]).is_err(), "{text}");
        }
    }

    #[test]
    fn broken_texts_stay_broken() {
        for text in ["a[", "a[i]", "a[i] =", "a[i].", "a[i]é = 1;", "a[i][", "a", "a]"] {
            assert!(held(text).contains('a'), "{text}");
        }
    }
}
