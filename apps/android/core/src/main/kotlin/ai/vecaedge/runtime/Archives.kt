package ai.vecaedge.runtime

import ai.vecaedge.VecaError
import java.io.ByteArrayOutputStream
import java.io.DataInputStream
import java.io.File
import java.util.zip.CRC32
import java.util.zip.ZipEntry
import java.util.zip.ZipFile
import java.util.zip.ZipOutputStream
import kotlin.math.min

/** Bytes; a larger member of an archive is damage or malice. */
private const val MAX_MEMBER = 1L shl 28

/** A day of 1980 in every time zone, milliseconds: without the time equal contents are equal files. */
private const val SOME_DAY = 320_000_000_000L

/** The bytes of a member of the archive in this file; throws [VecaError.File] if it is compressed or too large. */
internal fun member(path: File, archive: ZipFile, name: String): ByteArray {
    val entry = archive.getEntry(name) ?: throw VecaError.File("no $name in it: made by another tool")
    // We never compress, so what unpacks to something else than it holds is not ours.
    if (entry.method != ZipEntry.STORED || entry.size !in 0..min(MAX_MEMBER, path.length())) {
        throw VecaError.File("$name is compressed or too large")
    }
    val bytes = ByteArray(entry.size.toInt())
    archive.getInputStream(entry).use { DataInputStream(it).readFully(bytes) }
    return bytes
}

/** The bytes of an archive of these members, not compressed. */
internal fun storedArchive(members: List<Pair<String, ByteArray>>): ByteArray {
    val written = ByteArrayOutputStream()
    ZipOutputStream(written).use { archive ->
        for ((name, bytes) in members) {
            val entry = ZipEntry(name)
            entry.method = ZipEntry.STORED
            entry.time = SOME_DAY
            entry.size = bytes.size.toLong()
            entry.crc = CRC32().apply { update(bytes) }.value
            archive.putNextEntry(entry)
            archive.write(bytes)
        }
    }
    return written.toByteArray()
}
