//! Where traces are sent, and of how many sagas.

use super::layers::Layers;
use super::values;
use crate::alerts::Target;
use crate::traces::Endpoint;

/// What a share may be.
fn ratio(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    number.ok_or_else(|| format!("'{text}' is not a share from 0 to 1, such as 0.01"))
}

pub(super) fn read(layers: &mut Layers) -> Option<Endpoint> {
    let to = layers.read(&["tracing", "endpoint"], None, |text| text.parse::<Target>().map(Some));
    let share = layers.read(&["tracing", "ratio"], None, |text| ratio(text).map(Some));
    let service = layers.read(&["tracing", "service_name"], None, |text| values::text(text).map(Some));
    let headers = layers.read_all_under("tracing", |key| match key.strip_prefix("headers.") {
        Some(name) if is_name(name) => Ok(()),
        Some(_) => Err("the name of a header has letters, digits and hyphens".to_owned()),
        None => Err("there are endpoint, ratio, service_name and headers.NAME".to_owned()),
    });
    let header =
        |(key, value): (String, String)| Some((key.strip_prefix("headers.")?.replace('.', "-").to_ascii_lowercase(), value));
    let headers: std::collections::BTreeMap<String, String> = headers.into_iter().filter_map(header).collect();
    if headers.values().any(|value| !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())) {
        layers.problem("tracing.headers: a value has characters that no header may have".to_owned());
    }
    let Some(to) = to else {
        if share.is_some() || service.is_some() || !headers.is_empty() {
            layers.problem("tracing: without tracing.endpoint nothing is sent, and the rest is of no use".to_owned());
        }
        return None;
    };
    if !headers.is_empty() && !to.address().is_https && to.address().is_elsewhere() {
        layers.problem(
            "tracing.headers: they are not sent where others can read them on their way: the endpoint has to be https".to_owned(),
        );
    }
    let service = service.unwrap_or_else(|| "ringmaster".to_owned());
    Some(Endpoint { to, headers, service, ratio: share.unwrap_or(0.01) })
}

/// From the environment a hyphen comes as a dot.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}
