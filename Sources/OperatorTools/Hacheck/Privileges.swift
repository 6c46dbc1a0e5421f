internal import Glibc
internal import SmartStack

/// The account that a program started by root becomes.
struct Privileges: Equatable {
  let user: uid_t
  let group: gid_t
  /// For the user's further groups.
  let userName: String

  /// Looks the account up.
  /// - Returns: nil when neither is given.
  init?(user: String?, group: String?) throws(OperatorError) {
    guard user != nil || group != nil else { return nil }
    guard let user else { throw OperatorError("`group` is set, but `user` is not") }
    guard let account = getpwnam(user) else { throw OperatorError("user: there is no account `\(user)`") }
    self.user = account.pointee.pw_uid
    userName = user
    guard let group else {
      self.group = account.pointee.pw_gid
      return
    }
    guard let entry = getgrnam(group) else { throw OperatorError("group: there is no group `\(group)`") }
    self.group = entry.pointee.gr_gid
  }

  /// Becomes the account, for good and for every thread of the process.
  func assume() throws(OperatorError) {
    if geteuid() == user, getegid() == group { return }
    guard geteuid() == 0 else {
      throw OperatorError("user: only root can become `\(userName)`; start hacheck as that account instead")
    }
    guard initgroups(userName, group) == 0, setgid(group) == 0, setuid(user) == 0
    else { throw OperatorError("user: cannot become `\(userName)`: \(String(cString: strerror(errno)))") }
    // What root gave up it must not be able to take back.
    if user != 0, setuid(0) == 0 { throw OperatorError("user: root's rights remain") }
  }

  /// Hands a file or folder over to the account; what belongs to it already stays as it is.
  func own(_ path: String) throws(OperatorError) {
    var status = stat()
    guard geteuid() == 0, stat(path, &status) == 0, status.st_uid != user else { return }
    guard chown(path, user, group) == 0 else {
      throw OperatorError("user: cannot hand \(path) over: \(String(cString: strerror(errno)))")
    }
  }
}
