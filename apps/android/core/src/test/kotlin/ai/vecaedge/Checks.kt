package ai.vecaedge

import kotlin.math.abs
import kotlin.math.max

/** Counts what holds and what does not; a plain stand-in for a test framework, so that the compiler is all it takes. */
class Checks(private val suite: String) {
    private var passed = 0
    private val failures = mutableListOf<String>()

    /** Count a fact. */
    fun that(holds: Boolean, what: () -> String) {
        if (holds) passed++ else failures += what()
    }

    fun same(found: Any?, wanted: Any?, what: String) = that(found == wanted) { "$what is $found, not $wanted" }

    /** Numbers within a relative or an absolute distance, whichever is larger; null equals null. */
    fun near(found: Double?, wanted: Double?, what: String, relative: Double = 1e-4, absolute: Double = 1e-5) {
        val close = if (found == null || wanted == null) found == wanted
        else abs(found - wanted) <= max(absolute, relative * abs(wanted))
        that(close) { "$what is $found, not $wanted" }
    }

    fun near(found: FloatArray, wanted: List<Double>, what: String, relative: Double = 1e-4, absolute: Double = 1e-5) {
        same(found.size, wanted.size, "$what: size")
        for (i in found.indices.take(wanted.size)) near(found[i].toDouble(), wanted[i], "$what[$i]", relative, absolute)
    }

    /** Count whether this throws that error. */
    inline fun <reified E : VecaError> fails(what: String, call: () -> Unit) {
        val error = try {
            call()
            null
        } catch (error: Throwable) {
            error
        }
        that(error is E) { "$what: ${E::class.java.simpleName} was expected, got $error" }
    }

    /** Run the suite, print what it found; whether everything held. */
    fun report(tests: Checks.() -> Unit): Boolean {
        try {
            tests()
        } catch (error: Throwable) {
            failures += "stopped by $error at ${error.stackTrace.take(4)}"
        }
        failures.take(10).forEach { println("$suite FAILED: $it") }
        println("$suite: $passed held, ${failures.size} failed")
        return failures.isEmpty()
    }
}
