//! Where alerts are told.

use super::api::path;
use super::layers::Layers;
use crate::alerts::{Target, Webhook};

pub(super) fn read(layers: &mut Layers) -> Option<Webhook> {
    let to = layers.read(&["alerts", "webhook"], None, |text| text.parse::<Target>().map(Some));
    let secret_file = layers.read(&["alerts", "secret_file"], None, path);
    if to.is_some() != secret_file.is_some() {
        layers.problem("alerts.webhook and alerts.secret_file: one is of no use without the other".to_owned());
    }
    Some(Webhook { to: to?, secret_file: secret_file? })
}
