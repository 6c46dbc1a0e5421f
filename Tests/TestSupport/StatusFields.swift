import Reactor
public import SmartStack

/// The fields of a status report, as docs/operations.md lists them.
public enum StatusFields {
  /// Compares a report with the table of `agent`.
  /// - Returns: fields that the table lacks, has with another type, or has although the report does not.
  public static func differences(of report: JSONValue, from agent: String) throws -> [String] {
    let documented = try table(of: agent)
    var found: [String: Set<String>] = [:]
    collect(report, at: "", into: &found)
    var problems: [String] = []
    for (field, types) in found.sorted(by: { $0.key < $1.key }) {
      guard let allowed = documented[field] else {
        problems.append("\(field) is not documented")
        continue
      }
      for type in types.subtracting(allowed).sorted() {
        problems.append("\(field) is documented as \(allowed), not \(type)")
      }
    }
    for field in documented.keys.sorted() where found[field] == nil {
      // What is within a list without items or an object that is null is not there to be seen.
      let isWithin = documented.keys.contains { parent in
        field != parent && field.hasPrefix(parent)
          && [".", "["].contains(String(field.dropFirst(parent.count).prefix(1)))
      }
      if !isWithin { problems.append("\(field) is documented, but not there") }
    }
    return problems
  }

  private static func collect(_ value: JSONValue, at path: String, into found: inout [String: Set<String>]) {
    let type: String
    switch value {
    case .null: type = "null"
    case .bool: type = "boolean"
    case .number: type = "number"
    case .string: type = "text"
    case .array(let items):
      type = "list"
      for item in items { collect(item, at: path + "[]", into: &found) }
    case .object(let object):
      type = "object"
      for (key, member) in object.members {
        // Sessions have the ensembles' names as keys.
        let name = path == "sessions" ? "*" : key
        collect(member, at: path.isEmpty ? name : "\(path).\(name)", into: &found)
      }
    }
    if !path.isEmpty { found[path, default: []].insert(type) }
  }

  /// The rows `| \`field\` | type | meaning |` below the heading that names the command.
  private static func table(of agent: String) throws -> [String: Set<String>] {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let text = String(decoding: try Files.read("/\(root)/docs/operations.md", limit: 1 << 22), as: UTF8.self)
    var fields: [String: Set<String>] = [:]
    var isInside = false
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("#") { isInside = line.contains("`\(agent) status --json`") }
      let cells = line.split(separator: "|").map { String($0.trimmedBlanks) }
      guard isInside, line.hasPrefix("| `"), cells.count >= 3 else { continue }
      let types = cells[1].split(separator: " ").map { $0.filter { $0 != "," } }.filter { $0 != "or" }
      for field in cells[0].split(separator: ",") { fields[String(field.filter { !"` ".contains($0) })] = Set(types) }
    }
    return fields
  }
}
