//! The runtime that drives the transfers of one repository, on the thread that calls it.
//!
//! Tokio panics where a runtime is dropped on a thread of another one. Asynchronous code that has its calls made on a thread that may
//! block keeps the repository all the same, and so drops it there.

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, Result};

/// Waits for what is asynchronous.
pub(crate) struct Waiting {
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

impl Waiting {
    pub(crate) fn new() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| Error::File { file: "the runtime".into(), source })?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Waits for the end of a future.
    ///
    /// # Panics
    /// On a thread that drives an asynchronous runtime.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        match &self.runtime {
            Some(runtime) => runtime.block_on(future),
            None => unreachable!("nothing waits for what is dropped"),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Elsewhere its threads have ended when this returns.
        if let Some(runtime) = self.runtime.take()
            && Handle::try_current().is_ok()
        {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use crate::Repository;

    #[test]
    fn asynchronous_code_may_drop_a_repository() {
        let place = tempfile::tempdir().unwrap();
        let url = place.path().to_str().unwrap().to_owned();
        let runtime = Builder::new_current_thread().build().unwrap();
        let listed = runtime.block_on(async move {
            let repository = std::sync::Arc::new(Repository::open(&url).unwrap());
            let elsewhere = repository.clone();
            let listed = tokio::task::spawn_blocking(move || elsewhere.list().unwrap().len()).await.unwrap();
            // The last handle goes on a thread that must not block.
            drop(repository);
            listed
        });
        assert_eq!(listed, 0);
    }
}
