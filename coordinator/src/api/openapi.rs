//! What this API is, as OpenAPI 3.1 says it: written beside each handler, put together here, committed as `coordinator/api/openapi.json`.

use std::collections::BTreeMap;

use axum::Json;
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder, SecurityRequirement};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};

use super::problem::CONTENT_TYPE;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Ringmaster",
        description = "What sagas wait for, and what people do about it. Any instance answers for all; `missing` names partitions that nobody answered for. \
                       Times are RFC 3339. Errors are problems (RFC 9457)."
    ),
    paths(
        super::acts::act,
        super::alerts::alerts,
        super::audit::acts,
        super::batches::list,
        super::batches::preview,
        super::batches::sagas,
        super::batches::show,
        super::batches::start,
        super::batches::wish,
        super::definitions::all,
        super::definitions::one,
        super::definitions::picture,
        super::editing::check,
        super::editing::deploy,
        super::editing::draw,
        super::editing::test,
        super::held_tokens,
        super::history::history,
        super::instances::instances,
        super::live::live,
        super::me,
        openapi,
        super::overview::overview,
        super::participants,
        super::participants::one,
        super::partitions,
        super::quarantine::list,
        super::quarantine::one,
        super::redrive::discard,
        super::redrive::redrive,
        super::replays::replay,
        super::scaling::all,
        super::scaling::one,
        super::saga_graph::graph,
        super::sagas::saga,
        super::sagas::sagas,
        super::sagas::why,
        super::settings::settings,
        super::topics::all,
        super::topics::record,
    ),
    components(schemas(ProblemBody)),
    modifiers(&Bearer)
)]
struct Document;

/// Tokens, where they are asked for.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("rm_ID_SECRET").build();
        document.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(scheme));
        let none = SecurityRequirement::default();
        document.security = Some(vec![SecurityRequirement::new("token", [""; 0]), none]);
        // What is built says which version of the API it has; which build it is, `ringmaster --version` says.
        document.info.version = "1".to_owned();
        document.info.license = None;
        document.info.contact = None;
    }
}

/// Every error.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
#[allow(dead_code, reason = "it says what `Refusal` writes")]
struct ProblemBody {
    /// `/problems/NAME`: the table of docs/OPERATING.md has the names.
    #[schema(rename = "type", example = "/problems/not-found")]
    kind: String,
    /// The same in a few words.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What is wrong with this request.
    detail: String,
    /// What was asked for: path and query.
    instance: String,
    /// Of a filter: each mistake with `column`, `message` and `hint`; of files `file`, `line` and `length`, too.
    errors: Option<Vec<Value>>,
    /// Of an act: why it was not taken, such as MOVED_ON.
    reason: Option<String>,
}

/// The answers that each route may give beside its own.
pub(super) struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let answer = ResponseBuilder::new().description("A problem").content(CONTENT_TYPE, content).build();
        [("default".to_owned(), RefOr::T(answer))].into()
    }
}

/// What this API is.
fn document() -> Value {
    serde_json::to_value(Document::openapi()).expect("a document is JSON")
}

/// What this API is, as OpenAPI 3.1.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "access", responses((status = 200, body = Value), Problems))]
pub(super) async fn openapi() -> Json<Value> {
    Json(document())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::routes;
    use super::*;

    /// The committed document is what is served: whoever reads the one knows the other.
    #[test]
    fn the_committed_document_is_what_is_served() {
        let text = serde_json::to_string_pretty(&document()).expect("it is JSON") + "\n";
        expect_test::expect_file!["../../api/openapi.json"].assert_eq(&text);
    }

    #[test]
    fn every_route_is_documented_and_nothing_else() {
        let document = document();
        assert_eq!(document["openapi"], "3.1.0");
        let mut documented = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                documented.insert(format!("{} {path}", method.to_uppercase()));
                let answers = operation["responses"].as_object().expect("answers");
                assert!(answers.contains_key("200") && answers.contains_key("default"), "{method} {path}");
                assert!(operation["summary"].as_str().is_some_and(|said| said.len() > 10), "{method} {path} says what it is");
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    assert!(parameter["description"].is_string(), "{method} {path}: {parameter}");
                }
            }
        }
        let routes: BTreeSet<String> =
            routes::all().iter().filter(|route| route.path.starts_with("/api/")).map(routes::Route::shown).collect();
        assert_eq!(routes, documented);
    }

    /// Whatever a schema names is there, and says what it is.
    #[test]
    fn every_schema_is_there_and_says_what_it_is() {
        let document = document();
        let schemas = document["components"]["schemas"].as_object().expect("schemas");
        let text = document.to_string();
        for named in text.split("\"#/components/schemas/").skip(1) {
            let name = named.split('"').next().unwrap_or_default();
            assert!(schemas.contains_key(name), "{name}");
        }
        for (name, schema) in schemas {
            assert!(schema["description"].is_string(), "{name}");
            for (field, of) in schema["properties"].as_object().into_iter().flatten() {
                let says = of["description"].is_string() || of["$ref"].is_string() || of["oneOf"].is_array();
                assert!(says, "{name}.{field}: {of}");
            }
        }
    }
}
