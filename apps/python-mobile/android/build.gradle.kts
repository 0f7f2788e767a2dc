// Chaquopy says which versions of the Android plugin it knows; 8.7 is one of them.
plugins {
    id("com.android.application") version "8.7.3" apply false
    id("com.chaquo.python") version "17.0.0" apply false
}
