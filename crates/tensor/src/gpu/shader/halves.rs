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

/// A binding that becomes f16: the type of its elements before and after.
struct Held {
    single: String,
    half: String,
}

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
        let (name, single) = (name.trim(), aliased(&source, element.trim()).to_owned());
        let half = single.replace("f32", "f16");
        if single == half {
            return Err(none());
        }
        let declaration = format!("{head}> {name}: array<{half}>");
        held.insert(name.to_owned(), Held { single, half });
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
    // Where nothing but white space has come since the end of a statement or the beginning of a block, an array is written to.
    let mut starts_statement = false;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            c if is_of_word(c) => rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        let member = out.ends_with('.');
        match held.get(token).filter(|_| !member && rest.starts_with('[')) {
            Some(array) => {
                let path = rewrite(&rest[..index_length(rest)], held);
                rest = &rest[index_length(rest)..];
                match starts_statement {
                    true => rest = store(&mut out, array, &format!("{token}{path}"), rest, held),
                    false => out += &format!("{}({token}{path})", array.single),
                }
            }
            None => out += token,
        }
        if !token.starts_with("//") && !token.trim().is_empty() {
            starts_statement = matches!(first, ';' | '{' | '}');
        }
    }
    out
}

/// Appends the statement that writes to an element or to one component of it. Returns what follows its value.
fn store<'t>(out: &mut String, array: &Held, element: &str, rest: &'t str, held: &HashMap<String, Held>) -> &'t str {
    let component = match rest.starts_with('[') {
        true => index_length(rest),
        false => rest.find(' ').unwrap_or(0),
    };
    let (component, rest) = rest.split_at(component);
    let place = format!("{element}{}", rewrite(component, held));
    let (single, half) = if component.is_empty() { (&*array.single, &*array.half) } else { ("f32", "f16") };
    let assignment = rest.find('=').unwrap_or(0);
    let (operator, rest) = (rest[..assignment].trim(), &rest[assignment + 1..]);
    let (value, rest) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
    let value = rewrite(value.trim(), held);
    *out += &match operator {
        "" => format!("{place} = {half}({value})"),
        _ => format!("{place} = {half}({single}({place}) {operator} ({value}))"),
    };
    rest
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

    const DECLARATIONS: &str = "alias Lane = vec4<f32>;
@group(0) @binding(1) var<storage, read_write> a: array<f32>;
@group(0) @binding(2) var<storage, read_write> b: array<Lane>;
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
    }
}
