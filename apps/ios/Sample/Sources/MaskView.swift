import Foundation
import SwiftUI
import VecaEdge

/// A mask over the part of the preview that the model saw; the preview shows the whole frame.
struct MaskView: View {
    let shown: Shown

    var body: some View {
        GeometryReader { geometry in
            if let picture = shown.mask?.makePicture(clear: shown.dense?.task.background) {
                let place = shown.result.crop.shown(
                    frameWidth: shown.frameWidth, frameHeight: shown.frameHeight,
                    viewWidth: Int(geometry.size.width), viewHeight: Int(geometry.size.height), fills: false)
                Image(decorative: picture, scale: 1)
                    .interpolation(.high)
                    .resizable()
                    .frame(width: CGFloat(place.width), height: CGFloat(place.height))
                    .position(x: CGFloat(place.x + place.width / 2), y: CGFloat(place.y + place.height / 2))
                    .opacity(0.5)
            }
        }
    }
}

/// What the colours mean: the largest classes with their share of the picture, or the ends of the scale.
struct Legend: View {
    let result: DenseResult

    struct Entry: Hashable {
        let colour: Colour
        let text: String
    }

    var body: some View {
        VStack(alignment: .leading) {
            ForEach(entries, id: \.self) { entry in
                HStack {
                    RoundedRectangle(cornerRadius: 2)
                        .fill(shade(entry.colour))
                        .frame(width: 12, height: 12)
                    Text(entry.text).font(.caption).monospacedDigit()
                }
            }
        }
    }

    private var entries: [Entry] {
        let task = result.task
        guard let areas = try? result.areas() else {
            return [task.range.lowerBound, task.range.upperBound].map { end in
                Entry(colour: result.shade(Float(end)), text: String(format: "%.3g ", end) + task.unit)
            }
        }
        let coloured = areas.indices.dropFirst(task.background == nil ? 0 : 1)
        return coloured.sorted { areas[$0] > areas[$1] }.prefix(4).map { index in
            let share = String(format: "%.0f %%  ", 100 * areas[index])
            return Entry(colour: task.colours[index], text: share + task.labels[index])
        }
    }

    private func shade(_ colour: Colour) -> Color {
        Color(red: Double(colour.red) / 255, green: Double(colour.green) / 255, blue: Double(colour.blue) / 255)
    }
}
