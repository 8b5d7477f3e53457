//! The settings of this instance: what holds, and where that is said.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Sources;
use super::openapi::Problems;
use crate::config::Setting;

/// The settings of an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Settings {
    /// By name. What may be a secret is `***`.
    pub settings: Vec<Setting>,
}

/// The settings of the instance that is asked, and where each is said; what may be a secret is masked.
#[utoipa::path(get, path = "/api/v1/settings", tag = "operation", responses((status = 200, body = Settings), Problems))]
pub(super) async fn settings(State(sources): State<Arc<Sources>>) -> Json<Settings> {
    Json(Settings { settings: sources.settings.to_vec() })
}
