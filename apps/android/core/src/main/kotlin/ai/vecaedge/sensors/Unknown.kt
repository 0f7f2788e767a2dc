package ai.vecaedge.sensors

/**
 * What a system service answers, null if it refuses.
 *
 * Services throw where a device lacks a feature (UnsupportedOperationException), where an app may not ask
 * (SecurityException) and while they restart (IllegalStateException). None of that is worth more than "unknown".
 */
fun <T> orUnknown(ask: () -> T): T? = try {
    ask()
} catch (_: RuntimeException) {
    null
}
