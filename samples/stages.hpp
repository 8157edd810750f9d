// Stages that work at the same time, each in its thread, and hand frames on through short queues.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

namespace fathom {

// From one thread to another, a few values at most: whoever is faster waits.
template <class T>
class Queue {
 public:
  explicit Queue(std::size_t room) : room_(room) {}

  // Waits for room. False: nobody will take it.
  bool push(T value) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || values_.size() < room_; });
    return add(std::move(value));
  }
  // Never waits: where there is no room the oldest value goes. For cameras, which do not wait either.
  bool push_newest(T value) {
    const std::scoped_lock lock(mutex_);
    if (!closed_ && values_.size() >= room_) values_.pop_front();
    return add(std::move(value));
  }
  // Waits for a value. Nothing: there will be no more.
  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !values_.empty(); });
    if (values_.empty()) return {};
    std::optional<T> value(std::move(values_.front()));
    values_.pop_front();
    changed_.notify_all();
    return value;
  }
  // No more comes; what is here is still taken.
  void close() {
    close([] {});
  }
  // Nobody takes what is here.
  void abandon() {
    close([this] { values_.clear(); });
  }

 private:
  bool add(T&& value) {
    if (closed_) return false;
    values_.push_back(std::move(value));
    changed_.notify_all();
    return true;
  }
  template <class Then>
  void close(Then then) {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    then();
    changed_.notify_all();
  }

  const std::size_t room_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> values_;
  bool closed_ = false;
};

// Runs stages and keeps the first error of any; the queues are abandoned then, so that the other stages end too.
template <class... Queues>
class Stages {
 public:
  explicit Stages(Queues&... queues) : abandon_all_([&queues...] { (queues.abandon(), ...); }) {}

  template <class Work>
  void run(Work&& work) noexcept {
    try {
      work();
    } catch (...) {
      {
        const std::scoped_lock lock(mutex_);
        if (!first_) first_ = std::current_exception();
      }
      abandon_all_();
    }
  }
  void rethrow() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  std::function<void()> abandon_all_;
  std::mutex mutex_;
  std::exception_ptr first_;
};

}  // namespace fathom
