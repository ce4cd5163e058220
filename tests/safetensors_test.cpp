#include "data/safetensors.h"

#include "data/files.h"
#include "tests/golden.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <limits>

using namespace orthoread;

namespace {

template <class T>
std::vector<T> numbers_of(const Array<T>& x) {
  return {x.data(), x.data() + x.size()};
}

/// A file with this header (padded to `header_size` if that is larger) and this many bytes of data.
std::string file_of(const std::string& header, size_t data_size, size_t header_size = 0) {
  const std::string padded = header + std::string(std::max(header_size, header.size()) - header.size(), ' ');
  const uint64_t size = padded.size();
  std::string bytes(sizeof(size), '\0');
  std::memcpy(bytes.data(), &size, sizeof(size));
  return bytes + padded + std::string(data_size, '\0');
}

/// The header entry of a tensor.
std::string entry(const std::string& shape, const std::string& offsets, const std::string& dtype = "\"F32\"") {
  return fmt::format(R"({{"dtype":{},"shape":{},"data_offsets":{}}})", dtype, shape, offsets);
}

/// The error message for invalid bytes.
std::string refusal(const std::string& bytes) {
  try {
    Safetensors::parse(bytes, "x.st");
  } catch (const Error& error) {
    return error.what();
  }
  return "read";
}
std::string header_refusal(const std::string& header, size_t data_size = 0) {
  return refusal(file_of(header, data_size));
}

/// A small file with everything in it.
SafetensorsWriter example() {
  SafetensorsWriter writer;
  writer.add("weight", Array<float>({2, 3}, {1, 2, 3, 4, 5, 0.1f}));
  writer.add("tokens", Array<int64_t>({2}, {-100, int64_t{1} << 62}));
  writer.add("empty", Array<double>({0, 4}));
  writer.add("a \"name\" in ünicode\n", Array<double>({}, {0.1}));
  writer.set_metadata("read", "ns5");
  writer.set_metadata("note", "two\nlines");
  return writer;
}

/// Reads bytes that may be corrupt and, if they are accepted, every tensor in them. Returns true if they were refused
/// by an Error of one line that begins with the path.
bool refused(const std::string& bytes) {
  try {
    const auto file = Safetensors::parse(bytes, "x.st");
    for (const std::string& name : file.names()) {
      if (file.dtype(name) == "I64") file.get<int64_t>(name);
      if (file.dtype(name) == "F32" || file.dtype(name) == "F64") file.get<double>(name);
    }
    return false;
  } catch (const Error& error) {
    const std::string what = error.what();
    CHECK(what.starts_with("x.st: "));
    CHECK(what.find('\n') == std::string::npos);
    CHECK(what.size() < 500);
    return true;
  }
}

}  // namespace

TEST_CASE("safetensors: a written file reads back equal") {
  const auto file = Safetensors::parse(example().bytes(), "x.st");
  CHECK(file.names() == std::vector<std::string>{"tokens", "empty", "a \"name\" in ünicode\n", "weight"});
  CHECK(file.metadata() == std::map<std::string, std::string>{{"note", "two\nlines"}, {"read", "ns5"}});
  CHECK(file.dtype("weight") == "F32");
  CHECK(file.dtype("tokens") == "I64");
  CHECK(file.dtype("empty") == "F64");
  CHECK(file.shape("weight") == Shape{2, 3});
  CHECK(file.shape("a \"name\" in ünicode\n") == Shape{});
  CHECK(numbers_of(file.get<float>("weight")) == std::vector<float>{1, 2, 3, 4, 5, 0.1f});
  CHECK(numbers_of(file.get<int64_t>("tokens")) == std::vector<int64_t>{-100, int64_t{1} << 62});
  CHECK(file.get<double>("empty").shape() == Shape{0, 4});
  CHECK(file.get<double>("a \"name\" in ünicode\n").item() == 0.1);
  CHECK(file.has("weight"));
  CHECK_FALSE(file.has("__metadata__"));
}

TEST_CASE("safetensors: the bytes are the reference implementation's layout, and the same every time") {
  SafetensorsWriter writer;
  writer.add("b", Array<float>({1}, {1.0f}));
  writer.add("a", Array<int64_t>({1}, {2}));
  writer.set_metadata("z", "1");
  writer.set_metadata("y", "2");
  std::string header = R"({"__metadata__":{"y":"2","z":"1"},"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
                       R"("b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})";
  const size_t padded = (header.size() + 7) / 8 * 8;
  CHECK(padded > header.size());
  const std::string data("\x02\0\0\0\0\0\0\0\0\0\x80\x3f", 12);
  CHECK(writer.bytes() == file_of(header, 0, padded) + data);
  CHECK(writer.bytes() == writer.bytes());
  CHECK(SafetensorsWriter().bytes() == file_of("{}", 0, 8));
  CHECK(Safetensors::parse(SafetensorsWriter().bytes(), "x.st").names().empty());
}

TEST_CASE("safetensors: all bits survive, also those of NaN and -0") {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();
  const std::vector<double> numbers = {0.0, -0.0, kNan, kInf, -kInf, 5e-324, 1.7976931348623157e308, 1.0 / 3};
  SafetensorsWriter writer;
  writer.add("x", Array<double>({8}, numbers));
  const auto back = Safetensors::parse(writer.bytes(), "x.st").get<double>("x");
  CHECK(std::memcmp(back.data(), numbers.data(), sizeof(double) * numbers.size()) == 0);
}

TEST_CASE("safetensors: conversion between F32 and F64, exact or by rounding") {
  SafetensorsWriter writer;
  writer.add("f", Array<float>({2}, {0.1f, -3e38f}));
  writer.add("d", Array<double>({3}, {0.1, 1 + 0x1p-24, 1e-50}));
  const auto file = Safetensors::parse(writer.bytes(), "x.st");
  CHECK(numbers_of(file.get<double>("f")) == std::vector<double>{0x1.99999ap-4, static_cast<double>(-3e38f)});
  CHECK(numbers_of(file.get<float>("d")) == std::vector<float>{0.1f, 1.0f, 0.0f});
}

TEST_CASE("safetensors: through a file, read at odd addresses") {
  const std::string path = std::filesystem::temp_directory_path() / fmt::format("orthoread-{}.safetensors", getpid());
  example().write(path);
  CHECK(read_file(path) == example().bytes());
  CHECK(Safetensors::read(path).path() == path);
  std::filesystem::remove(path);

  std::string header = R"({"x":)" + entry("[1]", "[0,8]", "\"F64\"") + "}";
  header += header.size() % 2 == 0 ? " " : "";
  std::string bytes = file_of(header, 0);
  const double number = 0.1;
  bytes.append(reinterpret_cast<const char*>(&number), sizeof(number));
  CHECK(Safetensors::parse(bytes, "x.st").get<double>("x").item() == 0.1);
}

TEST_CASE("safetensors: the golden files survive reading and writing") {
  for (const char* name :
       {"mlstm_ns5_f64.safetensors", "mlstm_ns5_paper_width_f32.safetensors", "mad_v80_s512_seed11.safetensors"}) {
    const auto file = Safetensors::read(golden(name));
    SafetensorsWriter writer;
    for (const auto& [key, value] : file.metadata()) writer.set_metadata(key, value);
    for (const std::string& tensor : file.names()) {
      if (file.dtype(tensor) == "F32") writer.add(tensor, file.get<float>(tensor));
      if (file.dtype(tensor) == "F64") writer.add(tensor, file.get<double>(tensor));
      if (file.dtype(tensor) == "I64") writer.add(tensor, file.get<int64_t>(tensor));
    }
    const auto again = Safetensors::parse(writer.bytes(), "again");
    CHECK(again.metadata() == file.metadata());
    CHECK(again.names().size() == file.names().size());
    for (const std::string& tensor : file.names()) {
      CHECK(again.shape(tensor) == file.shape(tensor));
      if (file.dtype(tensor) != "I64")
        CHECK(numbers_of(again.get<double>(tensor)) == numbers_of(file.get<double>(tensor)));
      else
        CHECK(numbers_of(again.get<int64_t>(tensor)) == numbers_of(file.get<int64_t>(tensor)));
    }
  }
  const auto file = Safetensors::read(golden("mlstm_ns5_f64.safetensors"));
  CHECK(file.shape("param.embedding.weight") == Shape{24, 16});
  CHECK(file.metadata().at("newton_schulz_steps") == "5");
}

TEST_CASE("safetensors: a file that is truncated anywhere or too long is refused") {
  const std::string bytes = example().bytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    CHECK(refused(bytes.substr(0, size)));
  }
  CHECK(refused(bytes + '\0'));
  CHECK_FALSE(refused(bytes));
}

TEST_CASE("safetensors: after a change of any byte of length or header, a file is refused or consistent") {
  const std::string bytes = example().bytes();
  uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), sizeof(header_size));
  for (size_t i = 0; i < sizeof(header_size) + header_size; ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      const bool no = refused(changed);  // the sanitizers check for reads outside the file
      if (i < sizeof(header_size)) CHECK(no);
    }
    for (const char byte : {'\0', '9', '"', '{', '}', '[', ']', '-', '\xff'}) {
      std::string changed = bytes;
      changed[i] = byte;
      refused(changed);
    }
  }
}

TEST_CASE("safetensors: errors of the file as a whole") {
  CHECK(refusal("") == "x.st: not a safetensors file: 0 bytes, the header's length alone takes 8");
  CHECK(refusal("1234567") == "x.st: not a safetensors file: 7 bytes, the header's length alone takes 8");
  for (const uint64_t claim : {uint64_t{3}, uint64_t{1000000000000000000}, UINT64_MAX, UINT64_MAX - 7}) {
    std::string bytes = file_of("{}", 0);
    std::memcpy(bytes.data(), &claim, sizeof(claim));
    CHECK(refusal(bytes) ==
          fmt::format("x.st: not a whole safetensors file: its header is said to be {} bytes long, only 2 are there",
                      claim));
  }
  CHECK_THROWS_WITH_AS(Safetensors::read("/none/x.st"), "cannot read /none/x.st: No such file or directory", Error);
  CHECK_THROWS_WITH_AS(example().write("/none/x.st"), "cannot write /none/x.st: No such file or directory", Error);
}

TEST_CASE("safetensors: errors of the header's text") {
  const std::string no_object = "x.st: the header must be a JSON object";
  CHECK(header_refusal("") == no_object);
  CHECK(header_refusal("[]") == no_object);
  CHECK(header_refusal(" {}") == no_object);
  CHECK(header_refusal("\xef\xbb\xbf{}") == no_object);
  CHECK(header_refusal(std::string("{}\0x", 4)) == no_object);
  CHECK(header_refusal("{}x") == "x.st: the header is not well-formed JSON at its byte 3");
  CHECK(header_refusal("{\"a\":") == "x.st: the header is not well-formed JSON at its byte 6");
  CHECK(header_refusal("{\"\xff\":1}") == "x.st: the header is not well-formed JSON at its byte 3");
  CHECK(header_refusal("{\"a\":1e999}") == "x.st: the header has a number that is too large");
  CHECK(header_refusal("{\"a\":[[[[]]]]}") == "x.st: the header nests deeper than a tensor's shape");
  CHECK(header_refusal("{\"a\":" + std::string(1000000, '[')) == "x.st: the header nests deeper than a tensor's shape");
  CHECK(header_refusal(R"({"a":)" + entry("[0]", "[0,0]") + R"(,"a":)" + entry("[0]", "[0,0]") + "}") ==
        "x.st: the header has \"a\" twice");
  CHECK(header_refusal(R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0],"shape":[0]}})") ==
        "x.st: the header has \"shape\" twice");
  CHECK(header_refusal(R"({"__metadata__":{"k":"1","k":"2"}})") == "x.st: the header has \"k\" twice");
  CHECK(header_refusal(R"({"__metadata__":[1]})") == "x.st: __metadata__ must map texts to texts, it is [1]");
  CHECK(header_refusal(R"({"__metadata__":{"k":1}})") == "x.st: __metadata__: \"k\" must be a text, it is 1");
}

TEST_CASE("safetensors: errors of an entry") {
  const auto refusal_of = [](const std::string& entry) {
    const std::string text = header_refusal("{\"w\":" + entry + "}", 8), start = "x.st: tensor \"w\": ";
    return text.starts_with(start) ? text.substr(start.size()) : text;
  };
  CHECK(refusal_of(entry("[2]", "[0,8]")) == "read");
  CHECK(refusal_of("7") == "must be an object of dtype, shape and data_offsets, it is 7");
  CHECK(refusal_of("[]") == "must be an object of dtype, shape and data_offsets, it is []");

  CHECK(refusal_of(R"({"shape":[2],"data_offsets":[0,8]})") == "unknown dtype null; F32, F64 and I64 are supported");
  CHECK(refusal_of(entry("[2]", "[0,8]", "4")) == "unknown dtype 4; F32, F64 and I64 are supported");
  CHECK(refusal_of(entry("[2]", "[0,8]", "\"f32\"")) == "unknown dtype \"f32\"; F32, F64 and I64 are supported");
  CHECK(refusal_of(entry("[2]", "[0,8]", "\"" + std::string(1000, 'x') + "\"")).size() < 200);

  const std::string bad_shape = "shape must be a list of integers from 0 to 2^63 - 1";
  CHECK(refusal_of(R"({"dtype":"F32","data_offsets":[0,8]})") == bad_shape);
  for (const char* shape : {"2", "{}", "null", "\"2\"", "[-2]", "[2.0]", "[2e0]", "[\"2\"]", "[[]]", "[true]", "[null]",
                            "[9223372036854775808]", "[18446744073709551616]"}) {
    CAPTURE(shape);
    CHECK(refusal_of(entry(shape, "[0,8]")) == bad_shape);
  }

  const std::string bad_offsets =
      "data_offsets must be two integers, 0 <= begin <= end <= 8 (the bytes of data in the file)";
  CHECK(refusal_of(R"({"dtype":"F32","shape":[2]})") == bad_offsets);
  for (const char* offsets : {"8", "[]", "[0]", "[0,8,8]", "[8,0]", "[0,9]", "[-1,7]", "[0,8.0]", "[\"0\",8]",
                              "[0,18446744073709551615]", "[9,9]", "{\"0\":8}"}) {
    CAPTURE(offsets);
    CHECK(refusal_of(entry("[2]", offsets)) == bad_offsets);
  }

  CHECK(refusal_of(entry("[3]", "[0,8]")) == "shape [3] of F32 needs 12 bytes, data_offsets give it 8");
  CHECK(refusal_of(entry("[]", "[0,8]")) == "shape [] of F32 needs 4 bytes, data_offsets give it 8");
  CHECK(refusal_of(entry("[1]", "[0,4]", "\"F64\"")) == "shape [1] of F64 needs 8 bytes, data_offsets give it 4");
  CHECK(refusal_of(entry("[4611686018427387904,4,0]", "[0,8]")) ==
        "shape [4611686018427387904, 4, 0] of F32 needs more than 2^63 bytes, data_offsets give it 8");
  // 2^62 + 2 numbers of 4 bytes are 8 bytes modulo 2^64.
  CHECK(refusal_of(entry("[4611686018427387906]", "[0,8]")) ==
        "shape [4611686018427387906] of F32 needs more than 2^63 bytes, data_offsets give it 8");
}

TEST_CASE("safetensors: tensors fill the data without gaps or overlaps") {
  const auto two = [](const std::string& a, const std::string& b) {
    return header_refusal(fmt::format("{{\"a\":{},\"b\":{}}}", a, b), 12);
  };
  CHECK(two(entry("[1]", "[0,4]"), entry("[2]", "[4,12]")) == "read");
  CHECK(two(entry("[2]", "[4,12]"), entry("[1]", "[0,4]")) == "read");
  CHECK(two(entry("[3]", "[0,12]"), entry("[0]", "[12,12]")) == "read");
  CHECK(two(entry("[3]", "[0,12]"), entry("[0]", "[0,0]")) == "read");
  CHECK(two(entry("[1]", "[0,4]"), entry("[1]", "[8,12]")) ==
        "x.st: tensor \"b\": data begins at byte 8, where 4 must, without hole or overlap");
  CHECK(two(entry("[2]", "[0,8]"), entry("[2]", "[4,12]")) ==
        "x.st: tensor \"b\": data begins at byte 4, where 8 must, without hole or overlap");
  CHECK(two(entry("[3]", "[0,12]"), entry("[0]", "[4,4]")) ==
        "x.st: tensor \"b\": data begins at byte 4, where 12 must, without hole or overlap");
  CHECK(two(entry("[1]", "[4,8]"), entry("[1]", "[8,12]")) ==
        "x.st: tensor \"a\": data begins at byte 4, where 0 must, without hole or overlap");
  CHECK(two(entry("[1]", "[0,4]"), entry("[1]", "[4,8]")) ==
        "x.st: 8 bytes of data belong to tensors, the file has 12");
  CHECK(header_refusal("{}", 1) == "x.st: 0 bytes of data belong to tensors, the file has 1");
}

TEST_CASE("safetensors: errors of get()") {
  const auto file = Safetensors::parse(example().bytes(), "x.st");
  CHECK_THROWS_WITH_AS(
      file.get<float>("wait"),
      "x.st: no tensor \"wait\"; there are \"tokens\", \"empty\", \"a \\\"name\\\" in \\u00fcnicode\\n\", "
      "\"weight\"",
      Error);
  CHECK_THROWS_WITH_AS(file.shape("bad\xff\n"), doctest::Contains("x.st: no tensor \"bad\\ufffd\\n\"; there are"),
                       Error);
  CHECK_THROWS_WITH_AS(Safetensors::parse(file_of("{}", 0), "x.st").dtype("w"), "x.st: no tensor \"w\"; there are none",
                       Error);
  CHECK_THROWS_WITH_AS(file.get<int64_t>("weight"), "x.st: tensor \"weight\" has dtype F32; only I64 is allowed here",
                       Error);
  CHECK_THROWS_WITH_AS(file.get<float>("tokens"), "x.st: tensor \"tokens\" has dtype I64; F32 and F64 are allowed here",
                       Error);
  CHECK(file.get<float>("weight", {2, 3}).size() == 6);
  CHECK_THROWS_WITH_AS(file.get<float>("weight", {3, 2}),
                       "x.st: tensor \"weight\" must have shape [3, 2], it has [2, 3]", ShapeError);

  SafetensorsWriter many;
  for (int i = 10; i < 20; ++i) many.add(std::to_string(i), Array<float>({1}));
  CHECK_THROWS_WITH_AS(
      Safetensors::parse(many.bytes(), "x.st").get<float>("w"),
      "x.st: no tensor \"w\"; there are \"10\", \"11\", \"12\", \"13\", \"14\", \"15\", \"16\", \"17\" and 2 "
      "more",
      Error);
}

TEST_CASE("safetensors: a file may have other types as long as they are not read") {
  const std::string header =
      R"({"half":)" + entry("[2]", "[0,4]", "\"BF16\"") + R"(,"w":)" + entry("[1]", "[4,8]") + "}";
  const auto file = Safetensors::parse(file_of(header, 8), "x.st");
  CHECK(file.get<float>("w").item() == 0);
  CHECK(file.dtype("half") == "BF16");
  CHECK_THROWS_WITH_AS(file.get<float>("half"), "x.st: tensor \"half\" has dtype BF16; F32, F64 and I64 are supported",
                       Error);
}

TEST_CASE("safetensors: errors of writing") {
  SafetensorsWriter writer;
  writer.add("w", Array<float>({1}));
  CHECK_THROWS_WITH_AS(writer.add("w", Array<double>({1})), "safetensors: tensor \"w\" is there twice", Error);
  CHECK_THROWS_WITH_AS(writer.add("v", Array<float>()), "safetensors: tensor \"v\" is not defined", Error);
  CHECK_THROWS_WITH_AS(writer.add("__metadata__", Array<float>({1})),
                       "safetensors: __metadata__ cannot be a tensor's name", Error);
  writer.set_metadata("path", "\xff");
  CHECK_THROWS_WITH_AS(writer.bytes(), "safetensors: names and metadata must be UTF-8", Error);
}
