//! Which devices an authenticator stage offers, and whether one of them was chosen.
//!
//! Must not know what a device accepts.

use serde_json::{Value, json};

use super::devices::Device;
use super::field_errors::errors;

pub(crate) fn rank(class: &str) -> usize {
    ["static", "totp", "webauthn", "duo", "sms", "email"]
        .iter()
        .position(|other| *other == class)
        .unwrap_or(usize::MAX)
}

/// One device of each allowed class.
pub(crate) fn offered(devices: &[Device], classes: &[&str]) -> Vec<Device> {
    let mut offered: Vec<Device> = Vec::new();
    for device in devices.iter().filter(|device| classes.contains(&device.class())) {
        if !offered.iter().any(|other| other.class() == device.class()) {
            offered.push(device.clone());
        }
    }
    offered.sort_by_key(|device| rank(device.class()));
    offered
}

pub(crate) fn check_selected(selected: &Value, offered: &[Device]) -> Result<(), Value> {
    for key in ["device_class", "device_uid", "challenge", "last_used"] {
        if selected.get(key).is_none() {
            return Err(
                json!({"selected_challenge": {key: [{"string": "This field is required.", "code": "required"}]}}),
            );
        }
    }
    let class = selected.get("device_class").and_then(Value::as_str);
    let uid = selected.get("device_uid").and_then(Value::as_str);
    let known = offered
        .iter()
        .any(|device| class == Some(device.class()) && uid == Some(device.uid.to_string().as_str()));
    if known {
        Ok(())
    } else {
        Err(errors(
            "selected_challenge",
            "invalid challenge selected",
            "invalid",
        ))
    }
}
