package ai.vecaedge

/**
 * What can go wrong, one line for people each; every public call of this library throws these and nothing else.
 *
 * A mistake in the app's own code is [Argument] too: there is one place to catch.
 */
sealed class VecaError(message: String, cause: Throwable? = null) : Exception(message, cause) {
    /** The model file is missing, damaged, of a newer format, or another tool's. */
    class File(message: String, cause: Throwable? = null) : VecaError(message, cause)

    /** A value that is not valid: a budget that the model does not offer, an impossible size or setting. */
    class Argument(message: String) : VecaError(message)

    /** Not an image that can be looked at: empty, or too long for its width. */
    class Image(message: String) : VecaError(message)

    /** The engine could not load or run the program. */
    class Engine(message: String, cause: Throwable? = null) : VecaError(message, cause)

    /** Labels were asked of a model that has no head. */
    class NoHead : VecaError("this model has no head, so it has no labels: fit one with `veca-edge fit-head`")

    /** The camera could not be opened, or went away. */
    class Camera(message: String, cause: Throwable? = null) : VecaError(message, cause)
}
