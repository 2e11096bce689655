//! Schemas that others register (`registry.auto_register = false`): nothing but reading is asked of the
//! registry.

use reqwest::Method;

use super::{Error, Registry, Version};
use crate::encode::schema::is_same_layout;
use crate::plan::{SchemaId, is_key};

impl Registry {
    /// The id of the version under `subject` by which records are written that are laid out as
    /// `schema_json` has them: the newest that does so, whatever else it says of defaults and labels or in
    /// words. The id is among a key's bytes, so for keys it is the oldest: what is registered later moves
    /// no key.
    ///
    /// # Errors
    ///
    /// [`Error::Unregistered`] if there is none; if no URL answers, or a permission is missing.
    pub async fn registered(
        &mut self,
        subject: &str,
        schema_json: &str,
    ) -> Result<SchemaId, Error> {
        let mut numbers = self.versions(subject).await?;
        if !is_key(subject) {
            numbers.reverse();
        }
        for number in numbers {
            let Some(Version { id, schema }) = self.version(subject, &number.to_string()).await?
            else {
                continue;
            };
            if is_same_layout(&schema, schema_json) {
                return Ok(SchemaId(id));
            }
        }
        Err(Error::Unregistered { subject: subject.to_owned() })
    }

    /// The numbers of the versions under a subject, in their order.
    async fn versions(&mut self, subject: &str) -> Result<Vec<u32>, Error> {
        let parse = |body: &[u8]| serde_json::from_slice::<Vec<u32>>(body).ok();
        let path = ["subjects", subject, "versions"];
        match self.ask(&Method::GET, &path, subject, None, parse).await {
            Ok(mut numbers) => {
                numbers.sort_unstable();
                Ok(numbers)
            }
            Err(Error::Absent { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// A version by its number, or the latest; `None` if there is none, as where it was deleted just
    /// now.
    pub(super) async fn version(
        &mut self,
        subject: &str,
        number: &str,
    ) -> Result<Option<Version>, Error> {
        let path = ["subjects", subject, "versions", number];
        let parse = |body: &[u8]| serde_json::from_slice(body).ok();
        match self.ask(&Method::GET, &path, subject, None, parse).await {
            Ok(version) => Ok(Some(version)),
            Err(Error::Absent { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
