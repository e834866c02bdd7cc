//! `report.html` and the pictures, from made-up runs.

mod made_up;

use frugal_report::comparison::Row;
use frugal_report::records::Divergence;
use frugal_report::records::StoreRecord;
use frugal_report::trace::Trace;
use frugal_tensor::plan::KeptValue;
use frugal_trainer::config::CodecSpec;
use made_up::{Fixture, HOSTILE, fixture, plan};

/// Whether tags are closed in the order in which they were opened, and all else is text.
fn check(html: &str) {
    let (begin, end) = (html.find("<style>").unwrap() + 7, html.find("</style>").unwrap());
    let html = format!("{}{}", &html[..begin], &html[end..]);
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        assert!(!text.contains('>'), "{text}");
        for (at, _) in text.match_indices('&') {
            let entity = text[at..].split(';').next().unwrap();
            assert!(text[at..].contains(';') && entity.len() < 8, "{text}");
        }
        let length = rest[start..].find('>').unwrap();
        let tag = &rest[start + 1..start + length];
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()) && tag.matches('"').count() % 2 == 0, "<{tag}>");
        match tag.starts_with('/') {
            true => assert_eq!(open.pop(), Some(name), "</{name}> after {text}"),
            false if tag.ends_with('/') || ["meta", "br", "wbr"].contains(&name) => {}
            false => open.push(name),
        }
        rest = &rest[start + length + 1..];
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(!html.contains("<script") && !html.contains("src=") && !html.contains("href="), "a page of its own");
    assert!(html.chars().all(|c| c == '\n' || !c.is_control()));
}

/// For people who want to look at it.
fn keep(name: &str, fixture: &Fixture) -> String {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let html = fixture.html();
    std::fs::write(folder.join(format!("{name}.html")), &html).unwrap();
    for picture in fixture.pictures() {
        std::fs::write(folder.join(format!("{name}-{}.png", picture.name)), picture.png).unwrap();
    }
    html
}

#[test]
fn a_full_report_has_every_section_and_picture() {
    let stores = ["raw", "uniform:4", "frequency-split", "error-bounded", "error-bounded:comet+cheap", "wild"];
    let fixture = fixture(&stores, &[1, 2, 3]).examined();
    let html = keep("full", &fixture);
    check(&html);
    let names: Vec<String> = fixture.pictures().into_iter().map(|picture| picture.name).collect();
    let over_time = ["bounds-error-bounded", "ratios-error-bounded"].map(str::to_owned);
    let second = over_time.each_ref().map(|name| format!("{name}-comet-cheap"));
    let others = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let first = others(&["accuracy", "loss", "memory"]);
    let steps: Vec<String> = stores.map(|store| format!("step-{}", store.replace([':', '+'], "-"))).to_vec();
    assert_eq!(names, [&first[..], &steps, &over_time, &second, &others(&["rates", "theory"])].concat());
    assert_eq!(html.matches("<figure>").count(), 9 + stores.len());
    assert_eq!(html.matches("role=\"img\" aria-label=").count(), 9 + stores.len());
    // Of the weights that a value serves, the one that suffers most; of 1e-4 · 3 · 3 over 2e-3.
    assert!(
        html.contains("<td>24.7×</td>\n<td>0.0123</td>\n<td>0.0122</td>\n<td>7.10e−5</td>\n<td>0.450</td>"),
        "{html}"
    );
    assert_eq!(html.matches("<details open>").count(), 2, "those with bounds");
    assert_eq!(html.matches("% of its tiles raw").count(), 2, "where there are any");
    assert!(html.contains("1.2 % of its tiles raw"));
    for text in [
        "id=\"stores\"",
        "id=\"layers\"",
        "id=\"weights\"",
        "id=\"values\"",
        "diverged at step 12",
        "3 of 18 runs diverged",
    ] {
        assert!(html.contains(text), "{text}");
    }
    assert!(html.contains("layer1.<wbr>0.<wbr>conv1"), "long names break at their dots");
    assert!(html.contains("<code>frugal compare"), "the folder of the program is nobody's business");
    for picture in fixture.pictures() {
        let image = image::load_from_memory(&picture.png).unwrap();
        assert_eq!(image.width(), 1920);
        assert!(image.to_rgb8().pixels().any(|pixel| pixel.0 == [34, 34, 34]), "{} has no text", picture.name);
    }
}

#[test]
fn what_is_not_there_is_not_shown() {
    let fixture = fixture(&["raw", "frequency-split"], &[1]);
    let html = keep("plain", &fixture);
    check(&html);
    let names: Vec<String> = fixture.pictures().into_iter().map(|picture| picture.name).collect();
    assert_eq!(names, ["accuracy", "loss", "memory", "step-raw", "step-frequency-split"]);
    for text in ["id=\"weights\"", "gradient error", "runs diverged", "if all is raw"] {
        assert!(!html.contains(text), "{text}");
    }
}

#[test]
fn names_of_others_are_text_and_nothing_else() {
    let mut fixture = fixture(&[HOSTILE, "f16"], &[1, 2]).examined();
    fixture.comparison.name = HOSTILE.to_owned();
    fixture.study.skipped = Some(HOSTILE.to_owned());
    fixture.study.points.iter_mut().for_each(|point| point.codec = HOSTILE.to_owned());
    let last = fixture.traces.last_mut().unwrap();
    last.stores = vec![(
        1,
        vec![StoreRecord {
            name: HOSTILE.into(),
            form: HOSTILE.into(),
            raw_bytes: 0,
            stored_bytes: 0,
            bound: Some(f64::NAN),
            density: None,
            raw_share: None,
        }],
    )];
    let html = keep("hostile", &fixture);
    check(&html);
    assert!(html.contains("&lt;script&gt;"));
    assert!(html.contains("if all is raw"), "without raw there is a column for it");
}

#[test]
fn when_every_run_diverges_the_report_still_comes() {
    let mut fixture = fixture(&["raw", "wild"], &[1]);
    for row in &mut fixture.comparison.stores {
        let diverged = Divergence { seed: 1, step: 1, finding: "the input has 3 NaN".into() };
        *row = Row::new(row.store.clone(), row.memory.clone(), &[Err(diverged)]);
    }
    fixture.traces.iter_mut().for_each(|trace| *trace = Trace::new(&trace.store, []));
    let html = keep("diverged", &fixture);
    check(&html);
    assert!(html.contains("No store went through beside raw"), "{html}");
    assert_eq!(fixture.pictures().len(), 3, "memory is known from plans");
}

#[test]
fn one_store_has_one_colour_in_every_picture() {
    let fixture = fixture(&["raw", "f16", "frequency-split"], &[1]).examined();
    for picture in fixture.pictures().iter().filter(|picture| picture.name != "rates" && picture.name != "theory") {
        assert!(picture.svg.contains("#D55E00"), "{}", picture.name);
    }
    let pictures = fixture.pictures();
    let rates = pictures.iter().find(|picture| picture.name == "rates").unwrap();
    assert!(rates.svg.contains("#D55E00"), "the codec is called as the store");
}

#[test]
fn papers_count_what_convolutions_read_and_we_count_everything() {
    let raw = plan(CodecSpec::Raw);
    assert_eq!(raw.convolutions.ratio(), Some(1.0));
    let stored = plan(CodecSpec::usual("uniform").unwrap());
    let kept: Vec<&KeptValue> = stored.layers.iter().flat_map(|layer| &layer.kept).collect();
    let (read, others): (Vec<&KeptValue>, Vec<&KeptValue>) = kept.into_iter().partition(|kept| kept.convolution_input);
    // Nine convolutions; a block that halves the image and its shortcut read the same values.
    assert_eq!(read.len(), 7, "{read:?}");
    assert!(read.iter().all(|kept| kept.form == "uniform"), "{read:?}");
    assert!(others.iter().any(|kept| kept.form == "mask") && others.iter().any(|kept| kept.form == "uniform"));
    assert!(stored.convolutions.ratio().unwrap() > stored.ratio(), "masks and the rest take room as well");
}
