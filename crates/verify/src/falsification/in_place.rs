//! A sabotage from its injection to its healing, on every path: after an error, a panic, or when the falsification
//! itself is dropped half way.

use std::{thread, time::Duration};

use blueprint::Account;
use jiff::Timestamp;
use messaging::topology::{DELIVERY_LIMIT, QUEUE, VHOST};
use tokio::time::{Instant, timeout};

use super::sabotage::Sabotage;
use crate::{
    client::{self, rabbitmq::Permission},
    context::Context,
    engine::Engine,
    finding::Finding,
    logs::DELETE_REQUESTS,
    poll,
    tracers::Tracers,
};

/// How long an injection may take: an engine restarts what it reconfigures.
const INJECTION_BOUND: Duration = Duration::from_secs(60);

/// How long healing is tried again.
const HEALING_BOUND: Duration = Duration::from_secs(60);

/// The policy that stands above that of the queue `work` for a while.
const POLICY: &str = "falsification";

/// A name that nothing has: RabbitMQ's pattern for no permission.
const NOTHING: &str = "^$";

/// A sabotage that is in place, or may be, until it is healed.
pub(crate) struct InPlace<'a> {
    engine: &'a dyn Engine,
    sabotage: Sabotage,
    memory: Memory,
    healed: bool,
}

/// What has to be put back.
#[derive(Debug)]
enum Memory {
    Nothing,
    Permission(Permission),
    Object { key: String, content: Vec<u8> },
}

impl<'a> InPlace<'a> {
    /// Notes what healing will need. Nothing is broken yet.
    pub(crate) async fn prepare(
        engine: &'a dyn Engine,
        sabotage: Sabotage,
    ) -> Result<Self, Finding> {
        let memory = Hands::new().remember(engine, sabotage).await?;
        Ok(Self {
            engine,
            sabotage,
            memory,
            // Nothing is in place before `inject`.
            healed: true,
        })
    }

    /// Breaks it.
    pub(crate) async fn inject(&mut self) -> Result<(), Finding> {
        self.healed = false;
        let hands = Hands::new();
        let injection = hands.inject(self.engine, self.sabotage, &self.memory);
        timeout(INJECTION_BOUND, injection)
            .await
            .unwrap_or_else(|_elapsed| {
                let reason = format!("nothing came of it within {} s", INJECTION_BOUND.as_secs());
                Err(Finding::new(reason, "see `cargo xtask status`"))
            })
    }

    /// Undoes it, trying again until it is done or time is up.
    pub(crate) async fn heal(&mut self) -> Result<(), Finding> {
        let healing = self.try_to_heal().await;
        // A failure is the caller's to tell; only a healing that was cut off is taken up again.
        self.healed = true;
        healing
    }

    async fn try_to_heal(&self) -> Result<(), Finding> {
        let hands = Hands::new();
        let what = format!("`{}` to be undone", self.sabotage);
        poll::until(&what, Instant::now() + HEALING_BOUND, async || {
            hands.heal(self.engine, self.sabotage, &self.memory).await
        })
        .await
    }
}

impl Drop for InPlace<'_> {
    /// Heals what was not healed, before anything else happens. Whoever drops a falsification (Ctrl-C) may end the
    /// runtime next, so a task of it could be lost; a thread with its own runtime cannot.
    fn drop(&mut self) {
        if self.healed {
            return;
        }
        thread::scope(|scope| {
            let healing = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                // A failure has nobody left to be told to; the next verification shows what is still broken.
                let _ = runtime.block_on(self.try_to_heal());
                Ok::<_, std::io::Error>(())
            });
            let _ = healing.join();
        });
    }
}

/// The clients that do the work, made anew each time: a runtime that ends takes its connections along.
struct Hands {
    http: reqwest::Client,
    tracers: Tracers,
}

impl Hands {
    fn new() -> Self {
        Self {
            http: client::http(),
            tracers: Tracers::default(),
        }
    }

    fn context<'a>(&'a self, engine: &'a dyn Engine) -> Context<'a> {
        Context {
            engine,
            http: &self.http,
            tracers: &self.tracers,
            started_at: Timestamp::now(),
            deadline: Instant::now() + HEALING_BOUND,
            fresh: false,
        }
    }

    async fn remember(&self, engine: &dyn Engine, sabotage: Sabotage) -> Result<Memory, Finding> {
        let context = self.context(engine);
        match sabotage {
            Sabotage::PermissionRevoked(account) => {
                let broker = context.rabbitmq().await?;
                let permission = broker.permission(VHOST, account.username()).await?;
                Ok(Memory::Permission(permission))
            }
            Sabotage::DeleteRequestsRemoved => {
                let bucket = context.bucket(blueprint::Node::LokiAdmin.name()).await?;
                let objects = bucket.list(DELETE_REQUESTS, None).await?;
                let newest = objects.into_iter().max_by_key(|object| object.modified_at);
                let nothing = || {
                    Finding::new(
                        "there is no object of delete requests to remove",
                        "verify the arrow first",
                    )
                };
                let key = newest.ok_or_else(nothing)?.key;
                let content = bucket.read(&key).await?.ok_or_else(nothing)?;
                Ok(Memory::Object { key, content })
            }
            Sabotage::Engine(_)
            | Sabotage::DeadLettersDropped
            | Sabotage::BucketFull(_)
            | Sabotage::UserDisabled(_) => Ok(Memory::Nothing),
        }
    }

    async fn inject(
        &self,
        engine: &dyn Engine,
        sabotage: Sabotage,
        memory: &Memory,
    ) -> Result<(), Finding> {
        let context = self.context(engine);
        match sabotage {
            Sabotage::Engine(fault) => engine.inject(fault).await?,
            Sabotage::PermissionRevoked(account) => {
                let nothing = Permission {
                    configure: NOTHING.to_owned(),
                    write: NOTHING.to_owned(),
                    read: NOTHING.to_owned(),
                };
                let broker = context.rabbitmq().await?;
                broker.permit(VHOST, account.username(), &nothing).await?;
                broker.disconnect(account.username()).await?;
            }
            Sabotage::DeadLettersDropped => {
                let broker = context.rabbitmq().await?;
                let definition = serde_json::json!({
                    "delivery-limit": DELIVERY_LIMIT,
                    "overflow": "reject-publish",
                });
                broker.overrule(VHOST, POLICY, QUEUE, &definition).await?;
            }
            Sabotage::BucketFull(bucket) => {
                context
                    .minio_admin()
                    .await?
                    .set_quota(bucket.name(), 1)
                    .await?;
            }
            Sabotage::UserDisabled(account) => self.enable(&context, account, false).await?,
            Sabotage::DeleteRequestsRemoved => {
                if let Memory::Object { key, .. } = memory {
                    let bucket = context.bucket(blueprint::Node::LokiAdmin.name()).await?;
                    bucket.remove(key).await?;
                }
            }
        }
        Ok(())
    }

    async fn heal(
        &self,
        engine: &dyn Engine,
        sabotage: Sabotage,
        memory: &Memory,
    ) -> Result<(), Finding> {
        let context = self.context(engine);
        match sabotage {
            Sabotage::Engine(fault) => engine.heal(fault).await?,
            Sabotage::PermissionRevoked(account) => {
                if let Memory::Permission(permission) = memory {
                    let broker = context.rabbitmq().await?;
                    broker.permit(VHOST, account.username(), permission).await?;
                }
            }
            Sabotage::DeadLettersDropped => {
                let broker = context.rabbitmq().await?;
                broker.remove_policy(VHOST, POLICY).await?;
            }
            Sabotage::BucketFull(bucket) => {
                context
                    .minio_admin()
                    .await?
                    .set_quota(bucket.name(), 0)
                    .await?;
            }
            Sabotage::UserDisabled(account) => self.enable(&context, account, true).await?,
            Sabotage::DeleteRequestsRemoved => {
                if let Memory::Object { key, content } = memory {
                    let bucket = context.bucket(blueprint::Node::LokiAdmin.name()).await?;
                    // Loki may have written a newer one since.
                    if bucket.read(key).await?.is_none() {
                        bucket.write(key, content.clone()).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn enable(
        &self,
        context: &Context<'_>,
        account: Account,
        enabled: bool,
    ) -> Result<(), Finding> {
        let admin = context.minio_admin().await?;
        admin.enable_user(account.username(), enabled).await?;
        Ok(())
    }
}
