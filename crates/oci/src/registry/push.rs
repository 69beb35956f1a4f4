//! Pushing: what is there is not sent again, what several images share is sent once.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use futures_util::stream;
use oci_client::{RegistryOperation, errors::OciDistributionError};
use reqwest::Method;

use super::{
    Moved, PARALLEL, QUESTIONS, Registry,
    failure::Fault,
    session::{Session, Tries},
    side_by_side,
};
use crate::{
    Artifact, BlobReader, Digest, ImageSource, Meter, OciError, Parts, Reference,
    artifact::EMPTY_CONFIG,
    manifest::{Descriptor, EMPTY, LAYER_GZIP},
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
        let mut push = Push::start(self, artifact.descriptor(), reference).await?;
        if push.state == State::Nothing {
            let layer = Descriptor::of(LAYER_GZIP, artifact.layer());
            let config = Descriptor::of(EMPTY, EMPTY_CONFIG);
            for (blob, content) in [(layer, artifact.layer()), (config, EMPTY_CONFIG)] {
                if !push.has_blob(&blob).await? {
                    push.send_blob(&blob, &Meter::default(), || {
                        Ok(Source::Bytes(content.to_vec()))
                    })
                    .await?;
                    push.count(&blob);
                }
            }
        }
        let manifest = (artifact.descriptor(), artifact.manifest().to_vec());
        push.finish(&[manifest]).await
    }

    /// Pushes an image, as [`Registry::push_artifact`]. Of an index those platforms are pushed that the source has; the
    /// registry decides whether it takes an index of which it does not have all.
    ///
    /// # Errors
    /// As [`Registry::push_artifact`]; [`OciError::Mismatch`], [`OciError::Malformed`] and [`OciError::File`] for a blob of
    /// the source that is not what its descriptor says: it is not pushed.
    pub async fn push_image(
        &self,
        source: &dyn ImageSource,
        image: &Descriptor,
        reference: &Reference,
    ) -> Result<Moved, OciError> {
        let images = [(image.clone(), reference.clone())];
        let mut pushes = self.begin(source, &images).await?;
        pushes.blobs(&Meter::default()).await?;
        let moved = pushes.manifests().await?;
        moved
            .into_iter()
            .next()
            .ok_or_else(|| OciError::malformed(reference.to_string(), "nothing was pushed to it"))
    }

    /// Asks which of these images are there.
    pub(crate) async fn begin<'a>(
        &'a self,
        source: &'a dyn ImageSource,
        images: &'a [(Descriptor, Reference)],
    ) -> Result<Pushes<'a>, OciError> {
        let pushes = images.iter().map(|(image, reference)| async {
            let push = Push::start(self, image.clone(), reference).await?;
            Ok::<_, OciError>((push, source.parts(image)?))
        });
        Ok(Pushes {
            source,
            pushes: side_by_side(pushes, QUESTIONS).await?,
        })
    }
}

/// Pushes of images that may share blobs.
pub(crate) struct Pushes<'a> {
    source: &'a dyn ImageSource,
    pushes: Vec<(Push<'a>, Parts)>,
}

impl Pushes<'_> {
    /// Sends the blobs that are not there. Returns those that were read for it, and so checked.
    pub(crate) async fn blobs(&mut self, meter: &Meter) -> Result<BTreeSet<Digest>, OciError> {
        let uploads = self.uploads();
        for upload in &uploads {
            meter.expect(upload.blob.size);
        }
        let (source, pushes) = (self.source, &self.pushes);
        let sent = uploads
            .iter()
            .map(|upload| upload.run(source, pushes, meter));
        let sent = side_by_side(sent, PARALLEL).await?;
        let mut read = BTreeSet::new();
        for (upload, by) in uploads.iter().zip(sent) {
            for index in by {
                self.pushes[index].0.count(&upload.blob);
                read.insert(upload.blob.digest);
            }
        }
        Ok(read)
    }

    /// Names the images: what is named is whole.
    pub(crate) async fn manifests(self) -> Result<Vec<Moved>, OciError> {
        let finishes = self
            .pushes
            .into_iter()
            .map(|(push, parts)| async move { push.finish(&parts.manifests).await });
        side_by_side(finishes, QUESTIONS).await
    }

    /// Each blob that images need of which the registry has nothing, with the pushes of these images.
    fn uploads(&self) -> Vec<Upload> {
        let mut uploads: Vec<Upload> = Vec::new();
        for (index, (push, parts)) in self.pushes.iter().enumerate() {
            if push.state != State::Nothing {
                continue;
            }
            for blob in parts.unique_blobs() {
                let same = |upload: &&mut Upload| upload.blob.digest == blob.digest;
                match uploads.iter_mut().find(same) {
                    Some(upload) => upload.pushes.push(index),
                    None => uploads.push(Upload {
                        blob: blob.clone(),
                        pushes: vec![index],
                    }),
                }
            }
        }
        uploads
    }
}

/// A blob on its way to each repository that needs it.
struct Upload {
    blob: Descriptor,
    pushes: Vec<usize>,
}

impl Upload {
    /// Sends the blob to the first repository and has the registry mount it in the others. Returns the pushes that sent it.
    async fn run(
        &self,
        source: &dyn ImageSource,
        pushes: &[(Push<'_>, Parts)],
        meter: &Meter,
    ) -> Result<BTreeSet<usize>, OciError> {
        let mut sent = BTreeSet::new();
        let mut first: Option<&Push<'_>> = None;
        for index in &self.pushes {
            let push = &pushes[*index].0;
            let mounted = match first {
                Some(first) => push.mount(&self.blob, first).await,
                None => false,
            };
            if !mounted && !push.has_blob(&self.blob).await? {
                push.send_blob(&self.blob, meter, || {
                    Ok(Source::Blob(source.reader(&self.blob)?))
                })
                .await?;
                sent.insert(*index);
            }
            first.get_or_insert(push);
        }
        if sent.is_empty() {
            meter.add(self.blob.size);
        }
        Ok(sent)
    }
}

/// A push on its way.
struct Push<'a> {
    session: Session<'a>,
    image: Descriptor,
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
    async fn start(
        registry: &'a Registry,
        image: Descriptor,
        reference: &'a Reference,
    ) -> Result<Self, OciError> {
        let digest = image.digest;
        if let Some(expected) = reference.digest()
            && expected != digest
        {
            return Err(OciError::Mismatch {
                what: format!("what is to be pushed to {reference}"),
                expected,
                found: digest,
            });
        }
        let mut push = Self {
            session: registry.session(reference).await?,
            image,
            moved: Moved {
                digest,
                blobs: 0,
                bytes: 0,
            },
            state: State::Nothing,
        };
        let session = &push.session;
        if session.head_manifest(&push.at()).await? == Some(digest) {
            push.state = State::All;
        } else if reference.tag().is_some()
            && session.head_manifest(&digest.to_string()).await?.is_some()
        {
            push.state = State::Manifest;
        }
        Ok(push)
    }

    /// Where the manifest is put: a tag wins, because a digest is in it anyway.
    fn at(&self) -> String {
        match self.session.reference.tag() {
            Some(tag) => tag.to_owned(),
            None => self.moved.digest.to_string(),
        }
    }

    /// Puts the manifests, the image's own last.
    async fn finish(self, manifests: &[(Descriptor, Vec<u8>)]) -> Result<Moved, OciError> {
        for (manifest, content) in manifests {
            let is_image = manifest.digest == self.image.digest;
            let at = match self.state {
                State::All => continue,
                State::Manifest if !is_image => continue,
                _ if is_image => self.at(),
                _ => manifest.digest.to_string(),
            };
            self.session
                .put_manifest(&at, &manifest.media_type, content)
                .await?;
        }
        Ok(self.moved)
    }

    fn count(&mut self, blob: &Descriptor) {
        self.moved.blobs += 1;
        self.moved.bytes += blob.size;
    }

    async fn has_blob(&self, blob: &Descriptor) -> Result<bool, OciError> {
        let what = self.session.blob_name(blob.digest);
        let request = || self.session.blob_request(Method::HEAD, &blob.digest);
        match self
            .session
            .send(&what, RegistryOperation::Pull, request)
            .await
        {
            Ok(_) => Ok(true),
            Err(OciError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the registry has taken the blob from another repository of its own (distribution specification, "Mounting a
    /// blob from another repository"). One that does not is sent it.
    async fn mount(&self, blob: &Descriptor, from: &Push<'_>) -> bool {
        let (to, from) = (&self.session, &from.session);
        to.reference.registry() == from.reference.registry()
            && to
                .client
                .library
                .mount_blob(&to.repository, &from.repository, &blob.digest.to_string())
                .await
                .is_ok()
    }

    /// Sends a blob. The source is opened for each try.
    async fn send_blob(
        &self,
        blob: &Descriptor,
        meter: &Meter,
        source: impl Fn() -> Result<Source, OciError>,
    ) -> Result<(), OciError> {
        let session = &self.session;
        let what = format!("to take {}", session.blob_name(blob.digest));
        let digest = blob.digest.to_string();
        let mut tries = Tries::start();
        loop {
            let broken = Arc::new(Mutex::new(None));
            let pieces = pieces(source()?, Arc::clone(&broken), meter.clone());
            let pushed = session
                .client
                .library
                .push_blob_stream(&session.repository, pieces, &digest, Some(blob.size))
                .await;
            let Err(error) = pushed else {
                return Ok(());
            };
            // The request failed because the blob did.
            if let Some(error) = take(&broken) {
                return Err(error);
            }
            let fault = Fault::library(session.reference.registry(), &what, error);
            session
                .again(&mut tries, &what, RegistryOperation::Push, fault)
                .await?;
        }
    }
}

/// What a blob is read from.
enum Source {
    Bytes(Vec<u8>),
    Blob(BlobReader),
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
    meter: Meter,
) -> impl stream::Stream<Item = Result<B, OciDistributionError>> + Send + 'static {
    stream::try_unfold(source, move |source| {
        let next = match source {
            Source::Bytes(bytes) if bytes.is_empty() => Ok(None),
            Source::Bytes(bytes) => Ok(Some((B::from(bytes), Source::Bytes(Vec::new())))),
            Source::Blob(mut reader) => {
                let mut piece = vec![0; PIECE_BYTES];
                // Not handed to another thread: a file's next piece is mostly in memory, and the network is slower.
                match reader.next(&mut piece) {
                    Ok(0) => Ok(None),
                    Ok(read) => {
                        meter.add(read as u64);
                        piece.truncate(read);
                        Ok(Some((B::from(piece), Source::Blob(reader))))
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
