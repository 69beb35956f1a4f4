//! Pushing: what is there is not sent again.

use std::sync::{Arc, Mutex};

use futures_util::stream;
use oci_client::{RegistryOperation, errors::OciDistributionError};

use super::{
    Moved, Registry,
    failure::Fault,
    session::{Session, Tries},
};
use crate::{
    Artifact, BlobReader, Digest, Layout, OciError, Reference,
    artifact::EMPTY_CONFIG,
    manifest::{Descriptor, EMPTY, Index, LAYER_GZIP, MANIFEST, Manifest, parse},
};

/// The size of a piece of a blob on its way: what is in memory of a blob, a few times.
const PIECE_BYTES: usize = 256 << 10;

impl Registry {
    /// Pushes an artifact to the tag, or by its digest where the reference has no tag. If it is there this is one HEAD
    /// request; if it is there under another tag, a second one and the new tag.
    ///
    /// # Errors
    /// As [`Registry::resolve`]; [`OciError::Mismatch`] for a reference with the digest of something else.
    pub async fn push_artifact(
        &self,
        artifact: &Artifact,
        reference: &Reference,
    ) -> Result<Moved, OciError> {
        let session = self.session(reference).await?;
        let mut push = Push::start(session, artifact.digest())?;
        if push.needs_blobs().await? {
            let layer = Descriptor::of(LAYER_GZIP, artifact.layer());
            let config = Descriptor::of(EMPTY, EMPTY_CONFIG);
            for (blob, content) in [(layer, artifact.layer()), (config, EMPTY_CONFIG)] {
                push.blob(&blob, || Ok(Source::Bytes(content.to_vec())))
                    .await?;
            }
        }
        push.finish(MANIFEST, artifact.manifest()).await
    }

    /// Pushes an image of a layout, as [`Registry::push_artifact`]. Of an index those platforms are pushed that the layout
    /// has; the registry decides whether it takes an index of which it does not have all.
    ///
    /// # Errors
    /// As [`Registry::push_artifact`]; [`OciError::Mismatch`], [`OciError::Malformed`] and [`OciError::File`] for a blob of
    /// the layout that is not what its descriptor says: it is not pushed.
    pub async fn push_image(
        &self,
        layout: &Layout,
        image: &Descriptor,
        reference: &Reference,
    ) -> Result<Moved, OciError> {
        let session = self.session(reference).await?;
        let mut push = Push::start(session, image.digest)?;
        let content = layout.read(image)?;
        if push.needs_blobs().await? {
            let what = format!("the manifest {}", image.digest);
            let manifests = if image.is_index() {
                let index: Index = parse(&what, &content)?;
                index
                    .manifests
                    .into_iter()
                    .filter(|entry| layout.has(entry))
                    .collect()
            } else {
                push.blobs(layout, &parse(&what, &content)?).await?;
                Vec::new()
            };
            for entry in manifests {
                let content = layout.read(&entry)?;
                let at = entry.digest.to_string();
                push.blobs(layout, &parse(&at, &content)?).await?;
                push.session
                    .put_manifest(&at, &entry.media_type, &content)
                    .await?;
            }
        }
        push.finish(&image.media_type, &content).await
    }
}

/// A push on its way.
struct Push<'a> {
    session: Session<'a>,
    moved: Moved,
    state: State,
}

/// What the registry has.
#[derive(PartialEq, Eq)]
enum State {
    Nothing,
    /// The manifest, and with it all that it names, under another tag.
    Manifest,
    All,
}

impl<'a> Push<'a> {
    fn start(session: Session<'a>, digest: Digest) -> Result<Self, OciError> {
        if let Some(expected) = session.reference.digest()
            && expected != digest
        {
            return Err(OciError::Mismatch {
                what: format!("what is to be pushed to {}", session.reference),
                expected,
                found: digest,
            });
        }
        Ok(Self {
            session,
            moved: Moved {
                digest,
                blobs: 0,
                bytes: 0,
            },
            state: State::Nothing,
        })
    }

    /// Where the manifest is put: a tag wins, because a digest is in it anyway.
    fn at(&self) -> String {
        match self.session.reference.tag() {
            Some(tag) => tag.to_owned(),
            None => self.moved.digest.to_string(),
        }
    }

    async fn needs_blobs(&mut self) -> Result<bool, OciError> {
        let digest = self.moved.digest;
        self.state = if self.session.head_manifest(&self.at()).await? == Some(digest) {
            State::All
        } else if self.session.reference.tag().is_some()
            && let Some(_) = self.session.head_manifest(&digest.to_string()).await?
        {
            State::Manifest
        } else {
            State::Nothing
        };
        Ok(self.state == State::Nothing)
    }

    async fn finish(self, media_type: &str, manifest: &[u8]) -> Result<Moved, OciError> {
        if self.state != State::All {
            self.session
                .put_manifest(&self.at(), media_type, manifest)
                .await?;
        }
        Ok(self.moved)
    }

    async fn blobs(&mut self, layout: &Layout, manifest: &Manifest) -> Result<(), OciError> {
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            self.blob(blob, || Ok(Source::File(layout.reader(blob)?)))
                .await?;
        }
        Ok(())
    }

    /// Pushes a blob that is not there. The source is opened for each try.
    async fn blob(
        &mut self,
        blob: &Descriptor,
        mut source: impl FnMut() -> Result<Source, OciError>,
    ) -> Result<(), OciError> {
        let session = &self.session;
        let registry = session.reference.registry();
        let library = &session.client.library;
        let (what, digest) = (session.blob_name(blob.digest), blob.digest.to_string());
        let mut tries = Tries::start();
        loop {
            let fault = match library.blob_exists(&session.repository, &digest).await {
                Ok(true) => return Ok(()),
                Ok(false) => break,
                Err(error) => Fault::library(registry, &what, error),
            };
            session
                .again(&mut tries, &what, RegistryOperation::Pull, fault)
                .await?;
        }
        let what = format!("to take {what}");
        let mut tries = Tries::start();
        loop {
            let broken = Arc::new(Mutex::new(None));
            let pieces = pieces(source()?, Arc::clone(&broken));
            let pushed = library
                .push_blob_stream(&session.repository, pieces, &digest, Some(blob.size))
                .await;
            let Err(error) = pushed else {
                break;
            };
            // The request failed because the blob did.
            if let Some(error) = take(&broken) {
                return Err(error);
            }
            let fault = Fault::library(registry, &what, error);
            session
                .again(&mut tries, &what, RegistryOperation::Push, fault)
                .await?;
        }
        self.moved.blobs += 1;
        self.moved.bytes += blob.size;
        Ok(())
    }
}

/// What a blob is read from.
enum Source {
    Bytes(Vec<u8>),
    File(BlobReader),
}

fn take(broken: &Mutex<Option<OciError>>) -> Option<OciError> {
    broken
        .lock()
        .unwrap_or_else(|lock| lock.into_inner())
        .take()
}

/// A blob in pieces. An error is kept in `broken`, where it does not go through the layers of the HTTP client.
fn pieces<B: From<Vec<u8>> + Send + 'static>(
    source: Source,
    broken: Arc<Mutex<Option<OciError>>>,
) -> impl stream::Stream<Item = Result<B, OciDistributionError>> + Send + 'static {
    stream::try_unfold(source, move |source| {
        let next = match source {
            Source::Bytes(bytes) if bytes.is_empty() => Ok(None),
            Source::Bytes(bytes) => Ok(Some((B::from(bytes), Source::Bytes(Vec::new())))),
            Source::File(mut reader) => {
                let mut piece = vec![0; PIECE_BYTES];
                // Not handed to another thread: a file's next piece is mostly in memory, and the network is slower.
                match reader.next(&mut piece) {
                    Ok(0) => Ok(None),
                    Ok(read) => {
                        piece.truncate(read);
                        Ok(Some((B::from(piece), Source::File(reader))))
                    }
                    Err(error) => {
                        *broken.lock().unwrap_or_else(|lock| lock.into_inner()) = Some(error);
                        Err(OciDistributionError::GenericError(None))
                    }
                }
            }
        };
        std::future::ready(next)
    })
}
