# frozen_string_literal: true

require "fluent/plugin/filter"
require_relative "kata_lines"

module Fluent
  module Plugin
    # Reads Kata's lines: `@type kata`.
    class KataFilter < Filter
      Fluent::Plugin.register_filter("kata", self)

      def filter(_tag, _time, record)
        KataLines.read(record)
      end
    end
  end
end
