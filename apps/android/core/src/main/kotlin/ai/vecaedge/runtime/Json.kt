package ai.vecaedge.runtime

import ai.vecaedge.VecaError

/** Nested deeper than this is damage or malice. */
private const val MOST_DEPTH = 64

/**
 * JSON as plain values: Map, List, String, Double, Boolean, null. Written here so that the same code reads manifests
 * on a phone and in the tests; Android's own reader is not part of the Java platform.
 */
object Json {
    /** Read a text; throws [VecaError.File] if it is not JSON. */
    fun parse(text: String): Any? = Parser(text).document()

    /** Write plain values; numbers must be finite. */
    fun write(value: Any?): String = when (value) {
        null, is Boolean, is Int, is Long -> value.toString()
        is Number -> value.toDouble().also { require(it.isFinite()) }.toString()
        is Map<*, *> -> value.entries.joinToString(",", "{", "}") { "${quoted(it.key.toString())}:${write(it.value)}" }
        is Iterable<*> -> value.joinToString(",", "[", "]") { write(it) }
        else -> quoted(value.toString())
    }

    private fun quoted(text: String): String = buildString {
        append('"')
        for (c in text) {
            when {
                c == '"' || c == '\\' -> append('\\').append(c)
                c < ' ' -> append("\\u").append(c.code.toString(16).padStart(4, '0'))
                else -> append(c)
            }
        }
        append('"')
    }
}

private class Parser(private val text: String) {
    private var at = 0

    fun document(): Any? {
        val value = value(0)
        skipSpace()
        if (at != text.length) wrong("text behind the end")
        return value
    }

    private fun value(depth: Int): Any? {
        if (depth > MOST_DEPTH) wrong("nested too deeply")
        skipSpace()
        return when (peek()) {
            '{' -> table(depth)
            '[' -> list(depth)
            '"' -> string()
            't' -> word("true", true)
            'f' -> word("false", false)
            'n' -> word("null", null)
            else -> number()
        }
    }

    private fun table(depth: Int): Map<String, Any?> {
        val found = LinkedHashMap<String, Any?>()
        items('}') {
            skipSpace()
            val name = string()
            skipSpace()
            expect(':')
            found[name] = value(depth + 1)
        }
        return found
    }

    private fun list(depth: Int): List<Any?> {
        val found = ArrayList<Any?>()
        items(']') { found.add(value(depth + 1)) }
        return found
    }

    /** Comma-separated items from the opening bracket to the closing one. */
    private inline fun items(close: Char, item: () -> Unit) {
        at++
        skipSpace()
        if (peek() == close) {
            at++
            return
        }
        while (true) {
            item()
            skipSpace()
            if (peek() == close) break
            expect(',')
        }
        at++
    }

    private fun string(): String {
        expect('"')
        val found = StringBuilder()
        while (true) {
            val c = next()
            when {
                c == '"' -> return found.toString()
                c == '\\' -> found.append(escaped())
                c < ' ' -> wrong("a control character in a text")
                else -> found.append(c)
            }
        }
    }

    private fun escaped(): Char = when (val c = next()) {
        '"', '\\', '/' -> c
        'b' -> '\b'
        'f' -> '\u000c'
        'n' -> '\n'
        'r' -> '\r'
        't' -> '\t'
        'u' -> {
            if (at + 4 > text.length) wrong("cut off")
            val code = text.substring(at, at + 4).toIntOrNull(16) ?: wrong("a wrong escape")
            at += 4
            code.toChar()
        }
        else -> wrong("a wrong escape")
    }

    private fun number(): Double {
        val start = at
        while (at < text.length && (text[at].isLetterOrDigit() || text[at] in "+-.")) at++
        val word = text.substring(start, at)
        // Java also reads "1f", "0x1p3" and "NaN".
        val plain = word.isNotEmpty() && word.all { it in '0'..'9' || it in "+-.eE" }
        return word.takeIf { plain }?.toDoubleOrNull()?.takeIf { it.isFinite() } ?: wrong("'${word.take(20)}'")
    }

    private fun <T> word(word: String, value: T): T {
        if (!text.startsWith(word, at)) wrong("'${text.substring(at).take(8)}'")
        at += word.length
        return value
    }

    private fun skipSpace() {
        while (at < text.length && text[at] in " \t\r\n") at++
    }

    private fun peek(): Char = if (at < text.length) text[at] else wrong("cut off")

    private fun next(): Char = peek().also { at++ }

    private fun expect(c: Char) {
        if (next() != c) wrong("'$c' is missing")
    }

    private fun wrong(what: String): Nothing = throw VecaError.File("not JSON at character $at: $what")
}
