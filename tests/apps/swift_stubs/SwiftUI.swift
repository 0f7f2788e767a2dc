// The few of SwiftUI's declarations that the sample app uses.
import Foundation
@_exported import Observation

@_exported import CoreGraphics

@MainActor public protocol View {
    associatedtype Body: View
    @ViewBuilder var body: Body { get }
}

extension Never: View {
    public var body: Never { fatalError() }
}

public protocol Primitive: View where Body == Never {}
extension Primitive {
    public var body: Never { fatalError() }
}

extension Optional: View where Wrapped: View {
    public var body: Never { fatalError() }
}

public struct EmptyView: Primitive {
    public init() {}
}
public struct TupleView<T>: Primitive {}
public struct ConditionalContent<A: View, B: View>: Primitive {}

@MainActor @resultBuilder
public enum ViewBuilder {
    public static func buildExpression<Content: View>(_ content: Content) -> Content { fatalError() }
    public static func buildBlock() -> EmptyView { fatalError() }
    public static func buildBlock<Content: View>(_ content: Content) -> Content { fatalError() }
    public static func buildBlock<each Content: View>(
        _ content: repeat each Content
    ) -> TupleView<(repeat each Content)> { fatalError() }
    public static func buildIf<Content: View>(_ content: Content?) -> Content? { fatalError() }
    public static func buildEither<A: View, B: View>(first: A) -> ConditionalContent<A, B> { fatalError() }
    public static func buildEither<A: View, B: View>(second: B) -> ConditionalContent<A, B> { fatalError() }
}

// State

@propertyWrapper public struct State<Value> {
    public init(wrappedValue: Value) { fatalError() }
    public var wrappedValue: Value {
        get { fatalError() }
        nonmutating set { fatalError() }
    }
    public var projectedValue: Binding<Value> { fatalError() }
}

extension State where Value: ExpressibleByNilLiteral {
    public init() { fatalError() }
}

@propertyWrapper public struct Binding<Value> {
    public init(get: @escaping () -> Value, set: @escaping (Value) -> Void) { fatalError() }
    public var wrappedValue: Value {
        get { fatalError() }
        nonmutating set { fatalError() }
    }
    public var projectedValue: Binding<Value> { fatalError() }
}

@propertyWrapper @dynamicMemberLookup public struct Bindable<Value: AnyObject & Observable> {
    public init(wrappedValue: Value) { fatalError() }
    public var wrappedValue: Value { fatalError() }
    public var projectedValue: Bindable<Value> { fatalError() }
    public subscript<Subject>(
        dynamicMember keyPath: ReferenceWritableKeyPath<Value, Subject>
    ) -> Binding<Subject> { fatalError() }
}

// Scenes

@MainActor public protocol Scene {
    associatedtype Body: Scene
    var body: Body { get }
}

extension Never: Scene {}

public struct WindowGroup<Content: View>: Scene {
    public init(@ViewBuilder content: () -> Content) { fatalError() }
    public var body: Never { fatalError() }
}

@MainActor public protocol App {
    associatedtype Body: Scene
    var body: Body { get }
    init()
}

extension App {
    public static func main() { fatalError() }
}

// Styles

public protocol ShapeStyle {}
public struct Color: ShapeStyle, Primitive {
    public static let black = Color()
    public static let green = Color()
    public static let red = Color()
    init() {}
    public init(red: Double, green: Double, blue: Double, opacity: Double = 1) { fatalError() }
}
extension ShapeStyle where Self == Color {
    public static var green: Color { fatalError() }
    public static var red: Color { fatalError() }
}
public struct HierarchicalShapeStyle: ShapeStyle {}
extension ShapeStyle where Self == HierarchicalShapeStyle {
    public static var secondary: HierarchicalShapeStyle { fatalError() }
}
public struct Material: ShapeStyle {}
extension ShapeStyle where Self == Material {
    public static var ultraThinMaterial: Material { fatalError() }
    public static var regularMaterial: Material { fatalError() }
}
public protocol Shape {}
public struct RoundedRectangle: Shape {
    public init(cornerRadius: CGFloat) {}
}
extension Shape {
    @MainActor public func fill<S: ShapeStyle>(_ content: S) -> some View { EmptyView() }
}
public struct GeometryProxy {
    public var size: CGSize { fatalError() }
}
public struct GeometryReader<Content: View>: Primitive {
    public init(@ViewBuilder content: @escaping (GeometryProxy) -> Content) { fatalError() }
}
public struct Font {
    public enum Weight { case semibold }
    public static let caption = Font()
}
public struct Alignment {
    public static let bottom = Alignment()
    public static let center = Alignment()
}
public enum HorizontalAlignment { case leading, center }

// Views

public struct Text: Primitive {
    public init<S: StringProtocol>(_ content: S) { fatalError() }
    public init<F: FormatStyle>(_ input: F.FormatInput, format: F) where F.FormatOutput == String { fatalError() }
    public func fontWeight(_ weight: Font.Weight?) -> Text { fatalError() }
    public func font(_ font: Font?) -> Text { fatalError() }
    public func monospacedDigit() -> Text { fatalError() }
}

public struct Image: Primitive {
    public enum Interpolation { case high }
    public init(decorative cgImage: CGImage, scale: CGFloat) { fatalError() }
    public init(systemName: String) { fatalError() }
    public func interpolation(_ interpolation: Interpolation) -> Image { fatalError() }
    public func resizable() -> Image { fatalError() }
}

public struct Label<Title: View, Icon: View>: Primitive {
    public init(@ViewBuilder title: () -> Title, @ViewBuilder icon: () -> Icon) { fatalError() }
}
extension Label where Title == Text, Icon == Image {
    public init<S: StringProtocol>(_ title: S, systemImage: String) { fatalError() }
}

public struct VStack<Content: View>: Primitive {
    public init(
        alignment: HorizontalAlignment = .center, spacing: CGFloat? = nil, @ViewBuilder content: () -> Content
    ) { fatalError() }
}
public struct HStack<Content: View>: Primitive {
    public init(spacing: CGFloat? = nil, @ViewBuilder content: () -> Content) { fatalError() }
}
public struct ZStack<Content: View>: Primitive {
    public init(alignment: Alignment = .center, @ViewBuilder content: () -> Content) { fatalError() }
}
public struct Axis {
    public struct Set {
        public static let horizontal = Set()
    }
}
public struct ScrollView<Content: View>: Primitive {
    public init(_ axes: Axis.Set, @ViewBuilder content: () -> Content) { fatalError() }
}
public struct TextField<Content: View>: Primitive {}
extension TextField where Content == Text {
    public init<S: StringProtocol>(_ title: S, text: Binding<String>) { fatalError() }
}
public struct Spacer: Primitive {
    public init() {}
}
public struct TabView<Content: View>: Primitive {
    public init(@ViewBuilder content: () -> Content) { fatalError() }
}
public struct NavigationStack<Content: View>: Primitive {
    public init(@ViewBuilder root: () -> Content) { fatalError() }
}
public struct List<Content: View>: Primitive {
    public init(@ViewBuilder content: () -> Content) { fatalError() }
}
public struct ForEach<Data: RandomAccessCollection, ID: Hashable, Content: View>: Primitive {
    public init(
        _ data: Data, id: KeyPath<Data.Element, ID>, @ViewBuilder content: @escaping (Data.Element) -> Content
    ) { fatalError() }
}
public struct Toggle<Content: View>: Primitive {}
extension Toggle where Content == Text {
    public init<S: StringProtocol>(_ title: S, isOn: Binding<Bool>) { fatalError() }
}
public struct Slider: Primitive {
    public init<V: BinaryFloatingPoint>(value: Binding<V>, in bounds: ClosedRange<V>, step: V) { fatalError() }
}
public struct Button<Content: View>: Primitive {}
extension Button where Content == Text {
    public init<S: StringProtocol>(_ title: S, action: @escaping @MainActor () -> Void) { fatalError() }
}
public struct ProgressView<Content: View>: Primitive {}
extension ProgressView where Content == EmptyView {
    public init() { fatalError() }
}
extension ProgressView where Content == Text {
    public init<S: StringProtocol>(_ title: S) { fatalError() }
}
public struct ContentUnavailableView: Primitive {
    public init(_ title: String, systemImage name: String, description: Text? = nil) { fatalError() }
}

extension View {
    public func padding() -> some View { EmptyView() }
    public func ignoresSafeArea() -> some View { EmptyView() }
    public func frame(width: CGFloat? = nil, height: CGFloat? = nil, alignment: Alignment = .center) -> some View {
        EmptyView()
    }
    public func position(x: CGFloat = 0, y: CGFloat = 0) -> some View { EmptyView() }
    public func opacity(_ opacity: Double) -> some View { EmptyView() }
    public func scaledToFit() -> some View { EmptyView() }
    public func font(_ font: Font?) -> some View { EmptyView() }
    public func monospacedDigit() -> some View { EmptyView() }
    public func foregroundStyle<S: ShapeStyle>(_ style: S) -> some View { EmptyView() }
    public func background<S: ShapeStyle>(_ style: S) -> some View { EmptyView() }
    public func background<S: ShapeStyle, T: Shape>(_ style: S, in shape: T) -> some View { EmptyView() }
    public func overlay<V: View>(alignment: Alignment = .center, @ViewBuilder content: () -> V) -> some View {
        EmptyView()
    }
    public func disabled(_ disabled: Bool) -> some View { EmptyView() }
    public func accessibilityLabel<S: StringProtocol>(_ label: S) -> some View { EmptyView() }
    public func tabItem<V: View>(@ViewBuilder _ label: () -> V) -> some View { EmptyView() }
    public func task(_ action: @escaping @Sendable @MainActor () async -> Void) -> some View { EmptyView() }
    public func navigationTitle<S: StringProtocol>(_ title: S) -> some View { EmptyView() }
    public func toolbar<Content: View>(@ViewBuilder content: () -> Content) -> some View { EmptyView() }
}

// UIKit in SwiftUI

public struct UIViewRepresentableContext<Representable> {}

@MainActor public protocol UIViewRepresentable: View where Body == Never {
    associatedtype UIViewType
    typealias Context = UIViewRepresentableContext<Self>
    func makeUIView(context: Context) -> UIViewType
    func updateUIView(_ uiView: UIViewType, context: Context)
}

extension UIViewRepresentable {
    public var body: Never { fatalError() }
}
