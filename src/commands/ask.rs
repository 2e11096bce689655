//! What is asked of the running process, through the control socket.

use serde_json::Value;
use tracing::error;

use crate::admin::control::{self, Request};
use crate::cli::Exit;
use crate::config::Config;

/// Asks the running process, and prints its answer.
///
/// # Errors
///
/// If its answer is not understood, or cannot be printed.
pub async fn ask(config: &Config, request: Request) -> anyhow::Result<Exit> {
    match answer(config, request).await? {
        Ok(answer) => super::print(&format!("{answer:#}")).map(|()| Exit::Ok).map_err(Into::into),
        Err(exit) => Ok(exit),
    }
}

/// Asks the running process; its answer, or how the command ends without.
pub(super) async fn answer(
    config: &Config,
    request: Request,
) -> anyhow::Result<Result<Value, Exit>> {
    let Some(path) = &config.control_socket else {
        error!("there is no control socket: set `control.socket` in the configuration");
        return Ok(Err(Exit::Usage));
    };
    match control::ask(path, request).await {
        Ok(answer) => Ok(Ok(answer)),
        Err(error @ control::Error::Connect { .. }) => {
            error!(error = format!("{:#}", anyhow::Error::new(error)), "no answer");
            Ok(Err(Exit::Unreachable))
        }
        Err(error) => Err(error.into()),
    }
}
