//! The way back: from the number that stands before a record to the schema that it was written with.

use reqwest::Method;
use serde::Deserialize;

use super::{Error, Registry};
use crate::plan::SchemaId;

#[derive(Deserialize)]
struct Found {
    schema: String,
}

impl Registry {
    /// The text of a schema.
    ///
    /// # Errors
    ///
    /// [`Error::Absent`] if there is none of this number; if no URL answers, or the credentials are
    /// refused.
    pub async fn schema(&mut self, id: SchemaId) -> Result<String, Error> {
        let number = id.0.to_string();
        let parse = |body: &[u8]| serde_json::from_slice::<Found>(body).ok();
        let path = ["schemas", "ids", &number];
        let found =
            self.ask(&Method::GET, &path, &format!("(schema id {number})"), None, parse).await?;
        Ok(found.schema)
    }
}
