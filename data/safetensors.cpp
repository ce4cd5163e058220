#include "data/safetensors.h"

#include "data/checksum.h"
#include "data/files.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>

namespace orthoread {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are little endian");

using Json = nlohmann::json;

constexpr size_t kLengthSize = 8;  // bytes of the header's length

/// Bytes per number, for the types of the format that are whole bytes.
const std::map<std::string, size_t> kNumberSizes = {
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
    {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},     {"I64", 8},     {"U64", 8}, {"F64", 8},
};

template <class T>
constexpr const char* kDtype = std::is_same_v<T, float>    ? "F32"
                               : std::is_same_v<T, double> ? "F64"
                                                           : "I64";

constexpr const char* kChecksum = "sha256";  // in the metadata
constexpr size_t kChecksumDigits = 64;

/// The position of the checksum's digits in a file with this checksum. Quotation marks inside strings are escaped, so
/// the key cannot occur elsewhere.
size_t checksum_place(std::string_view bytes, const std::string& checksum) {
  const std::string key = fmt::format("\"{}\":\"", kChecksum);
  const size_t at = bytes.find(key + checksum + "\"");
  return at == bytes.npos ? at : at + key.size();
}

/// JSON for a message: one line, ASCII, short.
std::string shown(const Json& json) {
  constexpr size_t kMost = 100;
  std::string text = json.dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() <= kMost ? text : text.substr(0, kMost) + "…";
}

/// Parses the header. Refuses repeated keys, which JSON parsing would silently drop.
Json parse_header(const std::string& path, std::string_view text) {
  constexpr int kDeepest = 3;               // a number in a shape
  std::vector<std::set<std::string>> keys;  // of the enclosing objects
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    check(depth <= kDeepest, "{}: the header nests deeper than a tensor's shape", path);
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key) {
      check(keys.back().insert(parsed.get<std::string>()).second, "{}: the header has {} twice", path, shown(parsed));
    }
    return true;
  };
  // The parser stops at a zero byte, and skips a byte order mark.
  check(text.starts_with('{') && text.find('\0') == text.npos, "{}: the header must be a JSON object", path);
  try {
    return Json::parse(text.begin(), text.end(), watch);
  } catch (const Json::parse_error& error) {
    throw Error(fmt::format("{}: the header is not well-formed JSON at its byte {}", path, error.byte));
  } catch (const Json::exception&) {
    throw Error(fmt::format("{}: the header has a number that is too large", path));
  }
}

std::map<std::string, std::string> parse_metadata(const std::string& path, const Json& json) {
  check(json.is_object(), "{}: __metadata__ must map texts to texts, it is {}", path, shown(json));
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : json.items()) {
    check(value.is_string(), "{}: __metadata__: {} must be a text, it is {}", path, shown(key), shown(value));
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

/// A field that must be a list of integers from 0 to 2^63 - 1; nullopt if it is not.
std::optional<std::vector<int64_t>> sizes(const Json& entry, const char* field) {
  const auto found = entry.find(field);
  if (found == entry.end() || !found->is_array()) return {};
  std::vector<int64_t> numbers;
  for (const Json& number : *found) {
    if (!number.is_number_unsigned() || number.get<uint64_t>() > INT64_MAX) return {};
    numbers.push_back(number.get<int64_t>());
  }
  return numbers;
}

/// The size of a tensor in bytes; nullopt if it overflows.
std::optional<int64_t> bytes_needed(const Shape& shape, size_t number_size) {
  auto bytes = static_cast<int64_t>(number_size);
  for (const int64_t size : shape) {
    if (__builtin_mul_overflow(bytes, size, &bytes)) return {};
  }
  return bytes;
}

}  // namespace

Safetensors Safetensors::read(const std::string& path) { return parse(read_file(path), path); }

Safetensors Safetensors::read_checked(const std::string& path) {
  Safetensors file = read(path);
  const auto found = file.metadata().find(kChecksum);
  check(found != file.metadata().end(), "{}: the metadata has no checksum", path);
  const std::string& checksum = found->second;
  std::string bytes = file.bytes_;
  const size_t at = checksum_place(bytes, checksum);
  const bool written_by_us = checksum.size() == kChecksumDigits && at != bytes.npos;
  if (written_by_us) bytes.replace(at, kChecksumDigits, kChecksumDigits, '0');
  check(written_by_us && sha256(bytes) == checksum, "{}: damaged: its checksum is wrong", path);
  return file;
}

Safetensors Safetensors::parse(std::string bytes, std::string path) {
  uint64_t header_size = 0;
  check(bytes.size() >= kLengthSize, "{}: not a safetensors file: {} bytes, the header's length alone takes {}", path,
        bytes.size(), kLengthSize);
  std::memcpy(&header_size, bytes.data(), kLengthSize);
  const size_t after_length = bytes.size() - kLengthSize;
  check(header_size <= after_length,
        "{}: not a whole safetensors file: its header is said to be {} bytes long, only {} are there", path,
        header_size, after_length);
  const size_t data_begin = kLengthSize + header_size;
  const auto data_size = static_cast<int64_t>(bytes.size() - data_begin);
  const Json header = parse_header(path, std::string_view(bytes).substr(kLengthSize, header_size));

  Safetensors file;
  for (const auto& [name, json] : header.items()) {
    if (name == "__metadata__") {
      file.metadata_ = parse_metadata(path, json);
      continue;
    }
    const std::string where = fmt::format("{}: tensor {}", path, shown(name));
    check(json.is_object(), "{}: must be an object of dtype, shape and data_offsets, it is {}", where, shown(json));
    const Json dtype = json.value("dtype", Json());
    const auto number = dtype.is_string() ? kNumberSizes.find(dtype.get<std::string>()) : kNumberSizes.end();
    check(number != kNumberSizes.end(), "{}: unknown dtype {}; F32, F64 and I64 are supported", where, shown(dtype));
    const auto shape = sizes(json, "shape");
    check(shape.has_value(), "{}: shape must be a list of integers from 0 to 2^63 - 1", where);
    const auto offsets = sizes(json, "data_offsets");
    check(offsets && offsets->size() == 2 && (*offsets)[0] <= (*offsets)[1] && (*offsets)[1] <= data_size,
          "{}: data_offsets must be two integers, 0 <= begin <= end <= {} (the bytes of data in the file)", where,
          data_size);
    const int64_t begin = (*offsets)[0], end = (*offsets)[1];
    const auto needed = bytes_needed(*shape, number->second);
    check(needed == end - begin, "{}: shape {} of {} needs {} bytes, data_offsets give it {}", where, *shape,
          number->first, needed ? fmt::to_string(*needed) : "more than 2^63", end - begin);
    file.names_.push_back(name);
    file.entries_[name] = {number->first, *shape, data_begin + static_cast<size_t>(begin),
                           data_begin + static_cast<size_t>(end)};
  }

  const auto place = [&](const std::string& name) {
    const Entry& entry = file.entries_.at(name);
    return std::pair(entry.begin, entry.end);
  };
  std::sort(file.names_.begin(), file.names_.end(),
            [&](const auto& a, const auto& b) { return std::pair(place(a), a) < std::pair(place(b), b); });
  size_t end = data_begin;
  for (const std::string& name : file.names_) {
    check(place(name).first == end, "{}: tensor {}: data begins at byte {}, where {} must, without hole or overlap",
          path, shown(name), place(name).first - data_begin, end - data_begin);
    end = place(name).second;
  }
  check(end == bytes.size(), "{}: {} bytes of data belong to tensors, the file has {}", path, end - data_begin,
        data_size);
  file.path_ = std::move(path);
  file.bytes_ = std::move(bytes);
  return file;
}

const Safetensors::Entry& Safetensors::find(const std::string& name) const {
  constexpr size_t kMost = 8;
  const auto found = entries_.find(name);
  if (found != entries_.end()) return found->second;
  std::string available;
  for (size_t i = 0; i < std::min(names_.size(), kMost); ++i) available += (i > 0 ? ", " : "") + shown(names_[i]);
  if (names_.empty()) available = "none";
  if (names_.size() > kMost) available += fmt::format(" and {} more", names_.size() - kMost);
  throw Error(fmt::format("{}: no tensor {}; there are {}", path_, shown(name), available));
}

template <class Stored, class T>
Array<T> Safetensors::convert(const std::string& name, const Entry& entry) const {
  check(std::is_floating_point_v<Stored> == std::is_floating_point_v<T>, "{}: tensor {} has dtype {}; {} allowed here",
        path_, shown(name), entry.dtype, std::is_floating_point_v<T> ? "F32 and F64 are" : "only I64 is");
  auto array = Array<T>::uninitialized(entry.shape);
  T* to = array.edit();
  const char* from = bytes_.data() + entry.begin;
  for (int64_t i = 0; i < array.size(); ++i, from += sizeof(Stored)) {
    Stored number;
    std::memcpy(&number, from, sizeof(Stored));  // the data may be unaligned
    to[i] = static_cast<T>(number);
  }
  return array;
}

template <class T>
Array<T> Safetensors::get(const std::string& name) const {
  const Entry& entry = find(name);
  if (entry.dtype == kDtype<float>) return convert<float, T>(name, entry);
  if (entry.dtype == kDtype<double>) return convert<double, T>(name, entry);
  check(entry.dtype == kDtype<int64_t>, "{}: tensor {} has dtype {}; F32, F64 and I64 are supported", path_,
        shown(name), entry.dtype);
  return convert<int64_t, T>(name, entry);
}

template <class T>
Array<T> Safetensors::get(const std::string& name, const Shape& expected) const {
  check_shape(shape(name) == expected, "{}: tensor {} must have shape {}, it has {}", path_, shown(name), expected,
              shape(name));
  return get<T>(name);
}

template <class T>
void SafetensorsWriter::add(const std::string& name, const Array<T>& array) {
  check(name != "__metadata__", "safetensors: __metadata__ cannot be a tensor's name");
  check(array.defined(), "safetensors: tensor {} is not defined", shown(name));
  for (const Entry& entry : entries_) check(entry.name != name, "safetensors: tensor {} is there twice", shown(name));
  entries_.push_back({name, array});
}

std::string SafetensorsWriter::bytes() const {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata_.empty()) header["__metadata__"] = metadata_;
  std::string data;
  const auto append = [&](const std::string& name, const auto& array) {
    using T = std::remove_cvref_t<decltype(*array.data())>;
    const size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(array.data()), static_cast<size_t>(array.size()) * sizeof(T));
    header[name] = {{"dtype", kDtype<T>}, {"shape", array.shape()}, {"data_offsets", {begin, data.size()}}};
  };
  for (const size_t number_size : {size_t{8}, size_t{4}}) {
    for (const Entry& entry : entries_) {
      std::visit(
          [&](const auto& array) {
            if (sizeof(*array.data()) == number_size) append(entry.name, array);
          },
          entry.array);
    }
  }

  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::ordered_json::exception&) {
    throw Error("safetensors: names and metadata must be UTF-8");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t header_size = text.size();
  std::string bytes(kLengthSize, '\0');
  std::memcpy(bytes.data(), &header_size, kLengthSize);
  return bytes + text + data;
}

std::string SafetensorsWriter::checked_bytes() const {
  SafetensorsWriter copy = *this;
  const std::string zeros(kChecksumDigits, '0');
  copy.set_metadata(kChecksum, zeros);
  std::string all = copy.bytes();
  return all.replace(checksum_place(all, zeros), kChecksumDigits, sha256(all));
}

void SafetensorsWriter::write(const std::string& path) const { write_file_atomically(path, bytes()); }

#define ORTHOREAD_INSTANTIATE(T)                                                   \
  template Array<T> Safetensors::get(const std::string& name) const;               \
  template Array<T> Safetensors::get(const std::string& name, const Shape&) const; \
  template void SafetensorsWriter::add(const std::string& name, const Array<T>& array);
ORTHOREAD_INSTANTIATE(float)
ORTHOREAD_INSTANTIATE(double)
ORTHOREAD_INSTANTIATE(int64_t)

}  // namespace orthoread
