//! Where a loss that is not finite comes from.

use crate::Error;
use crate::planning::EVALUATE;
use frugal_tensor::PlannedSession;
use frugal_tensor::ir::{Element, Role, Value};

/// Names the first value that is not finite: among the inputs, then the parameters, then what the step makes, in order.
///
/// The device has left the parameters as they were since the loss went wrong, so the step can be gone through again.
pub(super) fn find(session: &mut PlannedSession, plan: usize, uploads: &[&[u8]]) -> Result<String, Error> {
    let graph = &session.plans()[plan].graph;
    let inputs = session.plans()[plan].uploads().iter().map(|&id| graph.value(id));
    for (Value { name, .. }, bytes) in inputs.zip(uploads).filter(|(value, _)| value.element == Element::F32) {
        if let Some(what) = not_finite(bytemuck::cast_slice(bytes)) {
            return Ok(format!("the input `{name}` already has {what}; check the data"));
        }
    }

    // Training moves running statistics in the very step that goes wrong; only an evaluation reads them.
    let kinds: &[Role] = if plan == EVALUATE { &[Role::Parameter, Role::Statistic] } else { &[Role::Parameter] };
    let persistent = graph.ids().filter(|(_, v)| kinds.contains(&v.role) && v.element == Element::F32);
    let names: Vec<String> = persistent.map(|(_, value)| value.name.clone()).collect();
    for name in names {
        if let Some(what) = not_finite(&session.read(&name)?) {
            return Ok(format!("`{name}` already has {what} before this step, so an update before it was too large"));
        }
    }

    let mut first = None;
    session.step_through(plan, uploads, |name, values| {
        first =
            not_finite(values).map(|what| format!("the first tensor that is not finite is `{name}`: it has {what}"));
        first.is_none()
    })?;
    // The same step over the same parameters gives the same values, unless something outside the net changes them.
    Ok(first.unwrap_or_else(|| "going through the step again, every tensor is finite; the device may be faulty".into()))
}

/// "3 NaN and 4 infinite among 5 values", if there are any.
fn not_finite(values: &[f32]) -> Option<String> {
    let nan = values.iter().filter(|value| value.is_nan()).count();
    let infinite = values.iter().filter(|value| value.is_infinite()).count();
    let what = match (nan, infinite) {
        (0, 0) => return None,
        (_, 0) => format!("{nan} NaN"),
        (0, _) => format!("{infinite} infinite"),
        _ => format!("{nan} NaN and {infinite} infinite"),
    };
    Some(format!("{what} among its {} values", values.len()))
}

#[cfg(test)]
mod tests {
    use super::not_finite;

    #[test]
    fn counts_what_is_not_finite() {
        assert_eq!(not_finite(&[0.0, -1.0, f32::MAX]), None);
        assert_eq!(not_finite(&[f32::NAN, 1.0]).unwrap(), "1 NaN among its 2 values");
        let both = not_finite(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]).unwrap();
        assert_eq!(both, "1 NaN and 2 infinite among its 3 values");
    }
}
