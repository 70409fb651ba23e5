//! The protection that is asked for.

/// How long a task is protected by one request, in minutes: what a task that hangs can hold up a scale-in. ECS takes 1 to
/// 2,880.
pub(super) const EXPIRES_IN_MINUTES: u64 = 20;

/// Who protects the task.
pub(super) trait Protector {
    /// Asks for protection, or for none.
    async fn protect(&self, protected: bool) -> Result<(), String>;
}
