import SwiftUI

@main
struct SampleApp: App {
    @State private var sample = Sample()

    var body: some Scene {
        WindowGroup {
            TabView {
                CameraScreen(sample: sample).tabItem { Label("Camera", systemImage: "camera") }
                CheckScreen(sample: sample).tabItem { Label("Check", systemImage: "checkmark.seal") }
            }
            .task { await sample.run() }
            .task { await sample.watchHeat() }
        }
    }
}
