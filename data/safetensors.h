// Safetensors files (github.com/huggingface/safetensors): named arrays and a map of strings. The format of checkpoints
// and data sets.
//
// A file is 8 bytes of header length (little endian), the header, and the data:
//     {"__metadata__": {"read": "ns5"}, "head.bias": {"dtype": "F32", "shape": [80], "data_offsets": [0, 320]}, …}
// The offsets start at the end of the header. The tensors fill the data without gaps or overlaps.
#pragma once

#include "core/array.h"

#include <map>
#include <string>
#include <variant>
#include <vector>

namespace orthoread {

/// A parsed, valid file. Every Error is one line that begins with the path.
class Safetensors {
 public:
  /// Reads a file. The whole header is checked before any data is read.
  static Safetensors read(const std::string& path);
  /// The same for bytes in memory; `path` is used in messages.
  static Safetensors parse(std::string bytes, std::string path);
  /// The same for a file with a checksum (SafetensorsWriter::checked_bytes). An Error if it is missing or wrong.
  static Safetensors read_checked(const std::string& path);

  /// The names of the tensors, in the order of their data.
  const std::vector<std::string>& names() const { return names_; }
  /// The metadata: strings by key.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// The path it was read from.
  const std::string& path() const { return path_; }

  /// Whether there is a tensor of this name.
  bool has(const std::string& name) const { return entries_.contains(name); }
  /// "F32", "F64", "I64", or another type of the format, which get() refuses. An Error for an unknown name.
  const std::string& dtype(const std::string& name) const { return find(name).dtype; }
  /// The shape of a tensor; an Error for an unknown name.
  const Shape& shape(const std::string& name) const { return find(name).shape; }

  /// The numbers of a tensor, T = float, double or int64_t. F32 is converted to double exactly, F64 to float by
  /// rounding. Integers and floating-point numbers are not converted to each other.
  template <class T>
  Array<T> get(const std::string& name) const;
  /// The same; an Error unless it has this shape.
  template <class T>
  Array<T> get(const std::string& name, const Shape& expected) const;

 private:
  struct Entry {
    std::string dtype;
    Shape shape;
    size_t begin, end;  // in bytes_
  };

  const Entry& find(const std::string& name) const;
  template <class Stored, class T>
  Array<T> convert(const std::string& name, const Entry& entry) const;

  std::string path_, bytes_;
  std::vector<std::string> names_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

/// Collects arrays and metadata, and writes them. The same calls give the same bytes.
class SafetensorsWriter {
 public:
  /// Adds a tensor, T = float, double or int64_t. An Error if the name was used before.
  template <class T>
  void add(const std::string& name, const Array<T>& array);
  /// Sets a metadata entry; the last value counts.
  void set_metadata(const std::string& key, const std::string& value) { metadata_[key] = value; }

  /// The content of the file. 8-byte numbers come before 4-byte ones, so that all are aligned for readers that map the
  /// file into memory; otherwise tensors stay in the order of add().
  std::string bytes() const;
  /// The same with a checksum, the metadata's sha256: that of these bytes with 64 zeros in its place.
  std::string checked_bytes() const;
  /// Writes the file atomically (write_file_atomically).
  void write(const std::string& path) const;

 private:
  struct Entry {
    std::string name;
    std::variant<Array<float>, Array<double>, Array<int64_t>> array;
  };

  std::vector<Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace orthoread
