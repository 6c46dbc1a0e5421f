import Testing

@testable import YAMLConfig

@Suite struct ScalarTests {
  /// Plain text and the JSON of what PyYAML's safe_load makes of it; infinities and NaN, which JSON lacks, stay text.
  static let table = """
    ~  null
    null  null
    Null  null
    NULL  null
    nULL  "nULL"
    true  true
    True  true
    TRUE  true
    tRUE  "tRUE"
    yes  true
    Yes  true
    YES  true
    yEs  "yEs"
    on  true
    On  true
    ON  true
    off  false
    OFF  false
    Off  false
    no  false
    No  false
    NO  false
    false  false
    False  false
    FALSE  false
    y  "y"
    n  "n"
    Y  "Y"
    N  "N"
    0  0
    00  0
    07  7
    017  15
    08  "08"
    019  "019"
    0o17  "0o17"
    1  1
    12  12
    +1  1
    -1  -1
    -0  0
    +017  15
    -017  -15
    1_000  1000
    _1  "_1"
    1_  1
    0_7  7
    1__0  10
    0b101  5
    0b  "0b"
    0b_1  1
    -0b11  -3
    0b12  "0b12"
    0x1F  31
    0xff  255
    0X1F  "0X1F"
    0x  "0x"
    0x_f  15
    -0x10  -16
    0xG  "0xG"
    1:30  90
    1:30:00  5400
    -1:30  -90
    0:30  "0:30"
    1:60  "1:60"
    1:5  65
    1:05:9  3909
    190:20:30  685230
    1:301  "1:301"
    22:80  "22:80"
    1.0  1.0
    1.  1.0
    .5  0.5
    0.5  0.5
    -.5  "-.5"
    +.5  "+.5"
    -1.5  -1.5
    1.5e3  "1.5e3"
    1.5e+3  1500.0
    1.5E-3  0.0015
    1e3  "1e3"
    1e+3  "1e+3"
    1.e+3  1000.0
    .5e+2  50.0
    1_0.5  10.5
    1.5_0  1.5
    1.2.3  "1.2.3"
    1,000  "1,000"
    1.5e  "1.5e"
    .e3  ".e3"
    .  "."
    -.  "-."
    ..  ".."
    ._5  "._5"
    ._  "._"
    1._  1.0
    0.0  0.0
    -0.0  -0.0
    007.5  7.5
    .inf  ".inf"
    .Inf  ".Inf"
    .INF  ".INF"
    +.inf  "+.inf"
    -.INF  "-.INF"
    .iNf  ".iNf"
    .nan  ".nan"
    .NaN  ".NaN"
    .NAN  ".NAN"
    -.nan  "-.nan"
    +.nan  "+.nan"
    .Nan  ".Nan"
    inf  "inf"
    nan  "nan"
    1:30.5  90.5
    -1:30.5  -90.5
    1:60.5  "1:60.5"
    0:0.5  0.5
    1:30.  90.0
    --  "--"
    ---  "---"
    +  "+"
    10.0.0.1  "10.0.0.1"
    10.0.0.1:80  "10.0.0.1:80"
    web.main  "web.main"
    12e4567  "12e4567"
    0x1p3  "0x1p3"
    1d  "1d"
    1s  "1s"
    99999999999999999999  99999999999999999999
    340282366920938463463374607431768211455  340282366920938463463374607431768211455
    -99999999999999999999  -99999999999999999999
    0b1111111111111111111111111111111111111111111111111111111111111111111  147573952589676412927
    0xffffffffffffffffffffffffffffffff  340282366920938463463374607431768211455
    07777777777777777777777777  37778931862957161709567
    170141183460469231731687303715884105728  170141183460469231731687303715884105728
    """

  @Test(arguments: table.split(separator: "\n").map { $0.split(separator: " ").map(String.init) })
  func plainTextMeansWhatPyYAMLTakesItFor(_ row: [String]) throws {
    #expect(YAMLScalar(plain: row[0]).json == row[1])
    #expect(try json("k: \(row[0])") == "{\"k\":\(row[1])}")
  }

  @Test func nothingIsNullAndQuotesMakeText() throws {
    #expect(
      try json("a:\nb: ''\nc: \"yes\"\nd: '017'\ne: |\n  on\nf: >-\n  1.5\n")
        == #"{"a":null,"b":"","c":"yes","d":"017","e":"on\n","f":"1.5"}"#)
  }

  @Test func plainTextHasTheValueOfItsType() {
    #expect(YAMLScalar(plain: "-0x10").int == -16)
    #expect(YAMLScalar(plain: "1:30").double == 90)
    #expect(YAMLScalar(plain: "-.inf").double == -.infinity)
    #expect(YAMLScalar(plain: ".nan").double?.isNaN == true)
    #expect(YAMLScalar(plain: "off").bool == false)
    #expect(YAMLScalar(plain: "99999999999999999999").int == nil)
    #expect(YAMLScalar(plain: "99999999999999999999").double == 1e20)
    #expect(YAMLScalar(text: "1", kind: .text).int == nil)
  }

  @Test func coreTagsAreHonouredOthersRefused() throws {
    #expect(
      try json("[!!str 017, !!int 017, !!float 1, !!bool yes, !!null ~, ! 12]")
        == #"["017",15,1.0,true,null,"12"]"#)
    #expect(try json("!!map {a: !!seq [1]}") == #"{"a":[1]}"#)
    for (text, problem) in [
      ("a: !ruby/object:Foo x", "t.yaml:1:4: a: the tag !ruby/object:Foo is not supported"),
      (
        "a: !!python/object:os.system {}",
        "t.yaml:1:4: a: the tag tag:yaml.org,2002:python/object:os.system is not supported"
      ),
      ("a: !!int x", #"t.yaml:1:4: a: "x" is not what its tag tag:yaml.org,2002:int says"#),
      ("a: !!set {b}", "t.yaml:1:4: a: the tag tag:yaml.org,2002:set is not supported"),
    ] {
      #expect(problem == failure(text))
    }
  }
}
