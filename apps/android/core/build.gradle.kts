import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.kotlin.jvm)
}

kotlin {
    // Only what Java 8 has, so that nothing is called that a phone lacks.
    compilerOptions {
        jvmTarget = JvmTarget.JVM_1_8
        freeCompilerArgs.add("-Xjdk-release=8")
    }
}

java {
    sourceCompatibility = JavaVersion.VERSION_1_8
    targetCompatibility = JavaVersion.VERSION_1_8
}

// The tests are a program: `./gradlew :core:check`.
val goldenCheck by tasks.registering(JavaExec::class) {
    val golden = rootDir.resolve("../../tests/golden")
    classpath = sourceSets.test.get().runtimeClasspath
    mainClass = "ai.vecaedge.MainKt"
    args("golden=$golden", "folder=$temporaryDir")
}

tasks.check { dependsOn(goldenCheck) }
