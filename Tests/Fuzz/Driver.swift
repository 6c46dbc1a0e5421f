import Glibc

// libFuzzer has `main`; it calls these two. `fuzz NAME [libFuzzer's options] [folders of inputs]` tries one parser, and
// `fuzz` prints the names of all.

/// The parser that the first argument names.
private let parser: @Sendable ([UInt8]) -> Void = {
  guard CommandLine.arguments.count > 1 else {
    for name in parsers.keys.sorted() { print(name) }
    exit(0)
  }
  guard let known = parsers[CommandLine.arguments[1]] else {
    print("no parser is called \(CommandLine.arguments[1])")
    exit(2)
  }
  return known
}()

/// Takes the name out of the arguments that libFuzzer reads.
@c(LLVMFuzzerInitialize) public func begin(
  _ count: UnsafeMutablePointer<Int32>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>
) -> Int32 {
  _ = parser
  arguments.pointee[1] = arguments.pointee[0]
  arguments.pointee += 1
  count.pointee -= 1
  return 0
}

/// Tries one input.
@c(LLVMFuzzerTestOneInput) public func tryInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  parser(Array(UnsafeBufferPointer(start: bytes, count: count)))
  return 0
}
