@testable import YAMLConfig

func json(_ text: String) throws -> String {
  try YAMLDocument.parse(Array(text.utf8), file: "t.yaml").json()
}

/// The error's sentence; nil if there is none.
func failure(_ text: String, limits: YAMLLimits = .default) -> String? {
  failure(Array(text.utf8), limits: limits)
}

func failure(_ bytes: [UInt8], limits: YAMLLimits = .default) -> String? {
  do throws(ConfigError) {
    _ = try YAMLDocument(bytes, file: "t.yaml", limits: limits)
    return nil
  } catch {
    return error.description
  }
}

func section(_ text: String) throws -> ConfigSection {
  try YAMLDocument.parse(Array(text.utf8), file: "t.yaml").section()
}
