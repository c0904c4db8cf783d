import Engine
import Testing

/// How producers place keys.
@Suite struct KeyPartitionerTests {
    /// Values of Kafka's own test of its hash, of zlib, and of the definition of FNV-1a.
    @Test func hashesAreThoseOfTheClients() {
        let count = Int(Int32.max)
        func place(_ partitioner: KeyPartitioner, _ text: String) -> Int32 {
            partitioner.partition(of: Array("xx\(text)".utf8)[2...], count: count)
        }
        // UtilsTest.testMurmur2 of Apache Kafka.
        let murmur: [(String, Int32)] = [
            ("21", -973_932_308), ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971), ("abc", 479_470_107),
        ]
        for (text, value) in murmur {
            #expect(
                place(.murmur2, text)
                    == Int32((UInt32(bitPattern: value) & 0x7fff_ffff) % UInt32(count))
            )
        }
        #expect(place(.crc32, "123456789") == Int32(UInt32(0xcbf4_3926) % UInt32(count)))
        #expect(place(.crc32, "") == 0)
        #expect(place(.fnv1a, "") == Int32(Int32(bitPattern: 0x811c_9dc5).magnitude))
        #expect(place(.fnv1a, "a") == Int32(Int32(bitPattern: 0xe40c_292c).magnitude))
        #expect(place(.fnv1a, "foobar") == Int32(Int32(bitPattern: 0xbf9c_f968).magnitude))
    }
}
