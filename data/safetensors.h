// Safetensors files (github.com/huggingface/safetensors): named arrays and a map of texts, what checkpoints and data
// sets are kept in.
//
// A file is 8 bytes of header length (little endian), the header, and the data:
//     {"__metadata__": {"read": "ns5"}, "head.bias": {"dtype": "F32", "shape": [80], "data_offsets": [0, 320]}, …}
// The offsets count from the end of the header; tensors fill the data without holes or overlaps.
#pragma once

#include "core/array.h"

#include <map>
#include <string>
#include <variant>
#include <vector>

namespace orthoread {

/// A file that was read and found well formed. Every error is an Error of one line that begins with the path.
class Safetensors {
 public:
  /// Reads a file. The whole header is checked before any data is looked at.
  static Safetensors read(const std::string& path);
  /// The same for bytes in memory; `path` is for the messages.
  static Safetensors parse(std::string bytes, std::string path);
  /// The same for a file with a checksum (SafetensorsWriter::checked_bytes); an error if there is none or a wrong one.
  static Safetensors read_checked(const std::string& path);

  /// The tensors' names in the order of their data.
  const std::vector<std::string>& names() const { return names_; }
  /// The file's texts by name.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// Where it was read from.
  const std::string& path() const { return path_; }

  /// Whether there is a tensor of this name.
  bool has(const std::string& name) const { return entries_.contains(name); }
  /// "F32", "F64", "I64", or another of the format's types, which get() refuses. An error for an unknown name.
  const std::string& dtype(const std::string& name) const { return find(name).dtype; }
  /// A tensor's shape; an error for an unknown name.
  const Shape& shape(const std::string& name) const { return find(name).shape; }

  /// The numbers of a tensor, T = float, double or int64_t. F32 becomes double exactly, F64 becomes float by rounding;
  /// integers and floating-point numbers do not become each other.
  template <class T>
  Array<T> get(const std::string& name) const;
  /// The same; an error unless the shape is the one expected.
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

/// Collects arrays and texts and writes them: the same calls give the same bytes.
class SafetensorsWriter {
 public:
  /// T = float, double or int64_t. A name may be used once.
  template <class T>
  void add(const std::string& name, const Array<T>& array);
  /// A text by name; the last one counts.
  void set_metadata(const std::string& key, const std::string& value) { metadata_[key] = value; }

  /// The file's content. 8-byte numbers come before 4-byte ones, so that all are aligned for readers that map the file;
  /// otherwise tensors stay in the order in which they were added.
  std::string bytes() const;
  /// The same with a checksum, the metadata's sha256: of these very bytes with 64 zeros in its place.
  std::string checked_bytes() const;
  /// Writes the file, all or nothing (write_file_atomically).
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
