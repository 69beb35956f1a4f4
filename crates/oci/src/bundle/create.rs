//! Making a bundle: each blob goes from where it is straight to its place in the file, several at a time.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Bundle,
    contents::{Contents, Origin},
    member,
    plan::{Place, Plan},
    slot::Slot,
    unfinished::Unfinished,
};
use crate::{
    Digest, ImageSource, Meter, OciError, Reference, Registry,
    layout::MARKER,
    manifest::{Descriptor, Platform, to_json},
    registry::{PARALLEL, Sink as _, blocking},
};

/// After so many bytes the disk is told to write: the system would let them pile up, and the end would wait for all.
const SYNC_BYTES: u64 = 64 << 20;

/// What goes into a bundle.
#[derive(Clone)]
pub struct Recipe {
    /// Images of registries, each listed as it is written here.
    pub remote: BTreeSet<Reference>,
    /// Images of this machine.
    pub local: Vec<LocalImage>,
    /// The platform to take of each index; all without one.
    pub platform: Option<Platform>,
}

/// An image or artifact of this machine.
#[derive(Clone)]
pub struct LocalImage {
    /// The name by which it is listed.
    pub name: String,
    /// Where it lies.
    pub source: Arc<dyn ImageSource>,
    /// Its manifest.
    pub descriptor: Descriptor,
}

impl Bundle {
    /// Makes a bundle at `target`, under another name until it is whole. An interrupted run is gone on with there by the next
    /// one of the same images, and what a bundle at `target` has already is not fetched. The same images give the same bytes.
    /// Returns the digest of the bundle's list.
    ///
    /// # Errors
    /// As [`Registry::pull_image`]; [`OciError::File`] for what cannot be written. What was at `target` is there as before.
    pub async fn create(
        registry: &Registry,
        recipe: &Recipe,
        target: &Path,
        meter: &Meter,
    ) -> Result<Digest, OciError> {
        let contents = Contents::look_up(registry, recipe).await?;
        // All of it, before the first comes.
        meter.expect(contents.blobs.iter().map(|(blob, _)| blob.size).sum());
        let list = to_json(&contents.index)?;
        let digest = Digest::of(&list);
        let mut plan = Plan::default();
        let mut place =
            |name: &str, content: &[u8]| plan.add(name, Digest::of(content), content.len() as u64);
        let mut small = vec![
            (place("oci-layout", MARKER), MARKER.to_vec()),
            (place("index.json", &list), list),
        ];
        for (digest, content) in contents.manifests {
            small.push((place(&member::blob_name(&digest), &content), content));
        }
        let blobs: Vec<_> = contents
            .blobs
            .into_iter()
            .map(|(blob, origin)| {
                let place = plan.add(member::blob_name(&blob.digest), blob.digest, blob.size);
                (place, blob, origin)
            })
            .collect();

        // Before anything is fetched: a file that cannot be written is told at once.
        let (file, earlier, mut checksums) = blocking({
            let (target, end) = (target.to_owned(), plan.end());
            move || {
                let file = Arc::new(Unfinished::open(&target, end)?);
                // What is no bundle, or a damaged one, has nothing to give, and is replaced.
                let earlier = Bundle::open(&target).ok().map(Arc::new);
                let checksums: Result<Vec<u32>, OciError> = small
                    .into_iter()
                    .map(|(place, content)| fill(&file, place, &content))
                    .collect();
                Ok((file, earlier, checksums?))
            }
        })
        .await?;
        let transfer = Transfer {
            registry: registry.clone(),
            file: Arc::clone(&file),
            earlier,
            meter: meter.clone(),
        };
        let mut transfers = stream::iter(blobs)
            .map(|(place, blob, origin)| {
                let (transfer, size) = (transfer.clone(), blob.size);
                // On all cores: what comes is digested.
                let task = spawn(async move { transfer.blob(place, blob, origin).await });
                async move { Ok::<_, OciError>((task.await?, size)) }
            })
            .buffered(PARALLEL);
        let (mut behind, mut syncing) = (0, None);
        while let Some((checksum, size)) = transfers.try_next().await? {
            checksums.push(checksum);
            behind += size;
            if behind >= SYNC_BYTES {
                behind = 0;
                let file = Arc::clone(&file);
                let next = spawn(blocking(move || file.sync()));
                if let Some(before) = syncing.replace(next) {
                    before.await?;
                }
            }
        }
        if let Some(last) = syncing {
            last.await?;
        }
        blocking(move || file.finish(&plan.ending(checksums)?)).await?;
        Ok(digest)
    }
}

/// Runs it beside what goes on here, and not longer than its result is waited for.
fn spawn<T: Send + 'static>(
    task: impl Future<Output = Result<T, OciError>> + Send + 'static,
) -> impl Future<Output = Result<T, OciError>> {
    let task = AbortOnDropHandle::new(tokio::spawn(task));
    async {
        task.await
            .unwrap_or_else(|end| std::panic::resume_unwind(end.into_panic()))
    }
}

/// Writes a small member. Returns its checksum.
fn fill(file: &Arc<Unfinished>, place: Place, content: &[u8]) -> Result<u32, OciError> {
    let what = place.name.clone();
    let mut slot = Slot::empty(Arc::clone(file), place)?;
    slot.push(content)?;
    slot.finish(&what)
}

/// Brings blobs to their places. Each method returns the checksum of what stands there then.
#[derive(Clone)]
struct Transfer {
    registry: Registry,
    file: Arc<Unfinished>,
    /// The bundle that is to be replaced.
    earlier: Option<Arc<Bundle>>,
    meter: Meter,
}

impl Transfer {
    async fn blob(&self, place: Place, blob: Descriptor, origin: Origin) -> Result<u32, OciError> {
        match origin {
            Origin::Here(source) => self.copy(source, place, blob).await,
            Origin::Registry(reference) => self.fetch(&reference, place, blob).await,
        }
    }

    async fn copy(
        &self,
        source: Arc<dyn ImageSource>,
        place: Place,
        blob: Descriptor,
    ) -> Result<u32, OciError> {
        let (file, meter) = (Arc::clone(&self.file), self.meter.clone());
        blocking(move || {
            let mut slot = Slot::empty(file, place)?;
            source.reader(&blob)?.copy(|piece| slot.push(piece))?;
            let checksum = slot.finish(&source.what())?;
            meter.add(blob.size);
            Ok(checksum)
        })
        .await
    }

    async fn fetch(
        &self,
        reference: &Reference,
        place: Place,
        blob: Descriptor,
    ) -> Result<u32, OciError> {
        let slot = blocking({
            let (file, place) = (Arc::clone(&self.file), place.clone());
            move || Slot::taken_up(file, place)
        })
        .await?;
        if slot.written() < blob.size
            && let Some(earlier) = self.earlier.clone().filter(|bundle| bundle.has(&blob))
        {
            match self.copy(earlier, place.clone(), blob.clone()).await {
                // It is damaged there.
                Err(OciError::Mismatch { .. } | OciError::Malformed { .. }) => {}
                other => return other,
            }
        }
        let is_taken_up = slot.written() > 0;
        match self.pull(reference, slot, &blob).await {
            // What was taken up is not what had been written: the machine went down before it was on the disk.
            Err(OciError::Mismatch { .. }) if is_taken_up => {
                let file = Arc::clone(&self.file);
                let slot = blocking(move || Slot::empty(file, place)).await?;
                self.pull(reference, slot, &blob).await
            }
            other => other,
        }
    }

    async fn pull(
        &self,
        reference: &Reference,
        mut slot: Slot,
        blob: &Descriptor,
    ) -> Result<u32, OciError> {
        self.meter.add(slot.written());
        let what = self
            .registry
            .pull_blob(reference, blob, &mut slot, &self.meter)
            .await?;
        slot.finish(&what)
    }
}
