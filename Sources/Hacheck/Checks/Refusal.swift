/// A request that is answered with an error, and why.
struct Refusal: Error, Equatable {
  let status: Int
  let sentence: String

  init(_ sentence: String, status: Int = 400) { (self.status, self.sentence) = (status, sentence) }
}
