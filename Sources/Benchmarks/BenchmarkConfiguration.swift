import Segmentation

/// The default shop, in code: this program reads no YAML.
enum BenchmarkConfiguration {
    static var shop: SegmentationConfiguration { .defaultShop }
}
