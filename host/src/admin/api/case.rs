//! A stored request as a case of its plugin: as JSON, and as an archive of its files.

use hyper::StatusCode;
use hyper::header::{CONTENT_DISPOSITION, HeaderValue};

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::super::query::Query;
use super::events;
use crate::clock::wall_ms;
use crate::config::OWN_SOURCE;
use crate::http::{self, Answer};
use crate::sources::{Case, NotACase, Recorded, case_name};

/// The parameters of a case.
const PARAMETERS: [&str; 2] = ["case", "keep_header"];
/// The most headers to keep, and the longest name of one.
const HEADERS: usize = 16;
const LONGEST_HEADER: usize = 64;
/// The name of a case whose request has an id that is no name.
const CASE: &str = "case";

/// The case of the one request that an id names.
pub async fn make(desk: &Desk, id: &str, query: &[u8]) -> Result<Case, Problem> {
    let query = Query::parse(query, &PARAMETERS)?;
    let asked = query.get("case").map(case_name).transpose();
    let asked = asked.map_err(|why| Problem::wrong(format!("case: {why}")))?;
    let kept = kept(&query)?;
    let record = events::one(desk, id).await?;
    if record.source == OWN_SOURCE {
        return Err(Problem::conflict(
            "it is an alert of the gateway's own: no plugin read it, so there is no case to make of it",
        ));
    }
    let catalogue = desk.catalogue();
    let mut sources = catalogue.sources.iter();
    let Some(source) = sources.find(|one| *one.name == *record.source) else {
        return Err(Problem::conflict(format!(
            "its source {} is not configured any more, so nothing tells the plugin and the settings of a case",
            record.source
        )));
    };
    let name = asked.or_else(|| case_name(&record.id).ok());
    let name = name.unwrap_or_else(|| CASE.to_owned());
    let recorded = Recorded {
        method: &record.method,
        url: &record.url,
        headers: &record.headers,
        body: &record.body,
    };
    let case = source
        .cases
        .make(&name, recorded, &kept, &catalogue.secrets);
    case.await.map_err(|error| damaged(&error))
}

/// Returns the names of headers that are kept.
fn kept(query: &Query<'_>) -> Result<Vec<String>, Problem> {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    let names: Vec<_> = query.all("keep_header").map(str::to_owned).collect();
    let is_name = |name: &String| name.len() <= LONGEST_HEADER && name.chars().all(fits);
    if names.len() > HEADERS || !names.iter().all(is_name) {
        return Err(Problem::wrong(format!(
            "keep_header: write the name of a header, in letters, digits and dashes; at most {HEADERS} of them"
        )));
    }
    Ok(names)
}

/// The same as an archive, to be unpacked into the folder of the plugin's cases.
pub async fn archive(desk: &Desk, id: &str, query: &[u8]) -> Result<Answer, Problem> {
    let case = make(desk, id, query).await?;
    let content = packed(&case)?;
    let mut answer = http::answer(StatusCode::OK, "application/x-tar", content);
    let shown = format!("attachment; filename=\"{}.tar\"", case.name);
    if let Ok(shown) = HeaderValue::from_str(&shown) {
        answer.headers_mut().insert(CONTENT_DISPOSITION, shown);
    }
    Ok(answer)
}

/// Returns the files of a case in one archive, with a text of what a reader must know.
fn packed(case: &Case) -> Result<Vec<u8>, Problem> {
    let mut files = case.files().map_err(|error| damaged(&error))?;
    let notes: Vec<_> = case.trouble.iter().chain(&case.notes).cloned().collect();
    files.push(("txt", (notes.join("\n") + "\n").into_bytes()));
    let mut archive = tar::Builder::new(Vec::new());
    for (ending, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(wall_ms().unsigned_abs() / 1000);
        let path = format!("{}.{ending}", case.name);
        archive
            .append_data(&mut header, path, &content[..])
            .map_err(|error| unpacked(&error))?;
    }
    archive.into_inner().map_err(|error| unpacked(&error))
}

fn damaged(error: &NotACase) -> Problem {
    match error {
        NotACase::Damaged(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        NotACase::TooMuch => Problem::conflict(error.to_string()),
    }
}

fn unpacked(error: &std::io::Error) -> Problem {
    let detail = format!("the archive cannot be made: {error}");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
}
